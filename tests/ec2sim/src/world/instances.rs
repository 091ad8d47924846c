//! Operations on instances that are there.

use serde::Deserialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::after;
use crate::world::filters::{Filter, Matcher};
use crate::world::ids::INSTANCE;
use crate::world::image::StateReason;
use crate::world::instance::{Instance, Phase};
use crate::world::instance_filters::Seen;
use crate::world::paging::Paging;
use crate::world::region::Region;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeInstances {
    #[serde(default, rename = "InstanceId")]
    instance_ids: Vec<String>,
    #[serde(rename = "IncludeManagedResources")]
    _include_managed: Option<bool>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// StartInstances, StopInstances, RebootInstances and TerminateInstances.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct InstancesInput {
    #[serde(default, rename = "InstanceId")]
    instance_ids: Vec<String>,
    #[serde(rename = "Force")]
    _force: Option<bool>,
    #[serde(rename = "Hibernate")]
    _hibernate: Option<bool>,
    #[serde(rename = "SkipOsShutdown")]
    _skip_shutdown: Option<bool>,
    #[serde(rename = "AdditionalInfo")]
    _info: Option<String>,
}

impl World {
    pub(crate) fn describe_instances(&mut self, cx: &Context, input: DescribeInstances) -> Result<Xml, ApiError> {
        let paging =
            Paging::listing("instancesSet", &input.instance_ids, input.max_results, input.next_token.as_deref())?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        for id in &input.instance_ids {
            region.owned_instance(cx, id)?;
        }
        let (page, token) = paging.page(&region.instances, |instance| {
            instance.owner == cx.account
                && instance.is_shown(cx.now)
                && (input.instance_ids.is_empty() || input.instance_ids.contains(&instance.id))
                && matcher.passes(&Seen::new(region, instance, cx.now), &cx.account)
        });
        // Instances that were launched together come together.
        let mut reservations: Vec<Vec<&Instance>> = Vec::new();
        for instance in page {
            let mut known = reservations.iter_mut();
            match known.find(|r| r.iter().any(|i| i.reservation == instance.reservation)) {
                Some(reservation) => reservation.push(instance),
                None => reservations.push(vec![instance]),
            }
        }
        let mut x = Xml::new();
        x.list("reservationSet", reservations, |x, instances| {
            x.maybe("reservationId", instances.first().map(|i| &i.reservation))
                .text("ownerId", &cx.account)
                .list("groupSet", [(); 0], |_, ()| ())
                .list("instancesSet", instances, |x, instance| {
                    instance.write(x, region, instance.state(cx.now));
                });
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    /// Where one of the instances is protected the call fails and those in its zone stay, but those in other zones end:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>.
    pub(crate) fn terminate_instances(&mut self, cx: &Context, input: InstancesInput) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        input.check(region, cx)?;
        let named: Vec<&Instance> = input.instance_ids.iter().filter_map(|id| region.instances.get(id)).collect();
        let protected = named.iter().filter_map(|one| Some((&one.zone, one.check_unprotected().err()?)));
        let protected: Vec<(&String, ApiError)> = protected.collect();
        let is_kept = |one: &Instance| protected.iter().any(|(zone, _)| **zone == one.zone);
        let ending: Vec<String> = named.iter().filter(|one| !is_kept(one)).map(|one| one.id.clone()).collect();
        let refusal = protected.into_iter().next().map(|(_, refusal)| refusal);
        let x = self.end(cx, &ending)?;
        refusal.map_or(Ok(x), Err)
    }

    /// Terminated instances give back the volumes that are not to be deleted with them.
    fn end(&mut self, cx: &Context, ids: &[String]) -> Result<Xml, ApiError> {
        let x = self.send(cx, ids, Phase::Terminated)?;
        let region = self.region_mut(cx)?;
        let ended = |id: &String| ids.contains(id);
        region.volumes.retain(|_, volume| {
            !volume.attachment.as_ref().is_some_and(|at| ended(&at.instance) && at.delete_on_termination)
        });
        for volume in region.volumes.values_mut() {
            volume.attachment.take_if(|at| ended(&at.instance));
        }
        Ok(x)
    }

    pub(crate) fn stop_instances(&mut self, cx: &Context, input: InstancesInput) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        input.check(region, cx)?;
        for id in &input.instance_ids {
            let instance = region.owned_instance(cx, id)?;
            instance.check_protection(instance.stop_protected, "stopped", "disableApiStop")?;
        }
        self.send(cx, &input.instance_ids, Phase::Stopped)
    }

    pub(crate) fn start_instances(&mut self, cx: &Context, input: InstancesInput) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        input.check(region, cx)?;
        for id in &input.instance_ids {
            region.owned_instance(cx, id)?.check_root(region)?;
        }
        self.send(cx, &input.instance_ids, Phase::Running)
    }

    pub(crate) fn reboot_instances(&mut self, cx: &Context, input: InstancesInput) -> Result<Xml, ApiError> {
        let region = self.region(cx)?;
        input.check(region, cx)?;
        Ok(Xml::done())
    }

    /// Sets instances out for a phase; all or none.
    fn send(&mut self, cx: &Context, ids: &[String], phase: Phase) -> Result<Xml, ApiError> {
        let settles = after(cx.now, self.config.instance_time);
        let region = self.region_mut(cx)?;
        for id in ids {
            region.owned_instance(cx, id)?.check_can(cx, phase)?;
        }
        let mut x = Xml::new();
        x.list("instancesSet", ids, |x, id| {
            let Some(instance) = region.instances.get_mut(id) else {
                return;
            };
            let previous = instance.state(cx.now);
            let current = if instance.phase == phase {
                previous
            } else {
                instance.phase = phase;
                instance.settles = settles;
                instance.ended_by_owner = (phase != Phase::Running).then_some(cx.now);
                instance.reason = (phase != Phase::Running).then(by_owner);
                phase.setting_out()
            };
            if phase == Phase::Terminated {
                instance.terminated.get_or_insert(cx.now);
            }
            x.text("instanceId", id)
                .nest("previousState", |x| previous.write(x))
                .nest("currentState", |x| current.write(x));
        });
        Ok(x)
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>.
fn by_owner() -> StateReason {
    StateReason {
        code: "Client.UserInitiatedShutdown".to_owned(),
        message: "Client.UserInitiatedShutdown: User initiated shutdown".to_owned(),
    }
}

impl InstancesInput {
    fn check(&self, region: &Region, cx: &Context) -> Result<(), ApiError> {
        if self.instance_ids.is_empty() {
            return Err(ApiError::missing("InstanceId"));
        }
        for id in &self.instance_ids {
            INSTANCE.check(id)?;
            region.owned_instance(cx, id)?;
        }
        Ok(())
    }
}

impl Instance {
    /// Stop protection protects from termination too:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-stop-protection.html>.
    fn check_unprotected(&self) -> Result<(), ApiError> {
        self.check_protection(self.protected, "terminated", "disableApiTermination")?;
        self.check_protection(self.stop_protected, "terminated", "disableApiStop")
    }

    /// Refuses to start what has lost its root volume.
    fn check_root(&self, region: &Region) -> Result<(), ApiError> {
        if self.phase != Phase::Stopped || region.volumes_of(&self.id).iter().any(|(_, at)| self.is_root(at)) {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "Invalid value '{}' for instanceId. Instance does not have a volume attached at root ({})",
            self.id, self.machine.root_device_name
        )))
    }

    /// Refuses what an attribute of the instance protects from.
    fn check_protection(&self, protected: bool, verb: &str, attribute: &str) -> Result<(), ApiError> {
        if !protected {
            return Ok(());
        }
        let id = &self.id;
        Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "The instance '{id}' may not be {verb}. Modify its '{attribute}' instance attribute and try again."
            ),
        ))
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html>.
    fn check_can(&self, cx: &Context, phase: Phase) -> Result<(), ApiError> {
        let state = self.state(cx.now).name;
        let (may, verb) = match phase {
            Phase::Running => (matches!(state, "stopped" | "running" | "pending"), "started"),
            Phase::Stopped => (matches!(state, "running" | "stopping" | "stopped"), "stopped"),
            Phase::Terminated => (true, "terminated"),
        };
        if may {
            return Ok(());
        }
        Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{}' is not in a state from which it can be {verb}.", self.id),
        ))
    }
}
