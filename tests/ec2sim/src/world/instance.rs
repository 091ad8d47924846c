//! An instance: its state, and how it is written.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::agenda::{after, written_in_seconds as date};
use crate::world::ids::INSTANCE;
use crate::world::image::StateReason;
use crate::world::machine::SharedMachine;
use crate::world::network::Network;
use crate::world::region::Region;
use crate::world::tags::{self, Tags};
use crate::world::volume::Attachment;

/// How long a terminated instance is still shown.
const TERMINATED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What an instance is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    Running,
    Stopped,
    Terminated,
}

/// A state by its code and name:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) code: u32,
    pub(crate) name: &'static str,
}

impl Phase {
    /// The state before it is reached and the one from then on.
    fn states(self) -> (State, State) {
        let state = |code, name| State { code, name };
        match self {
            Phase::Running => (state(0, "pending"), state(16, "running")),
            Phase::Stopped => (state(64, "stopping"), state(80, "stopped")),
            Phase::Terminated => (state(32, "shutting-down"), state(48, "terminated")),
        }
    }

    /// The state that the call answers which sets out for it.
    pub(crate) fn setting_out(self) -> State {
        self.states().0
    }
}

/// An instance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) reservation: String,
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) key_name: Option<String>,
    pub(crate) client_token: Option<String>,
    pub(crate) zone: String,
    pub(crate) launched: Timestamp,
    pub(crate) phase: Phase,
    /// From when on the phase is reached.
    pub(crate) settles: Timestamp,
    pub(crate) reason: Option<StateReason>,
    /// When the owner stopped or terminated it.
    pub(crate) ended_by_owner: Option<Timestamp>,
    /// Its place among those launched together.
    pub(crate) launch_index: u32,
    pub(crate) terminated: Option<Timestamp>,
    /// Whether it is protected from termination.
    pub(crate) protected: bool,
    /// Whether it is protected from being stopped, and by that from termination too.
    pub(crate) stop_protected: bool,
    /// Ids and names.
    pub(crate) security_groups: Vec<(String, String)>,
    pub(crate) machine: SharedMachine,
    pub(crate) tags: Tags,
}

impl Instance {
    pub(crate) fn state(&self, now: Timestamp) -> State {
        let (before, reached) = self.phase.states();
        if now < self.settles { before } else { reached }
    }

    /// Why it left its last state; empty unless its owner wanted it.
    pub(crate) fn transition_reason(&self) -> String {
        self.ended_by_owner.map_or_else(String::new, |at| format!("User initiated ({})", at.strftime("%F %T GMT")))
    }

    /// Whether it keeps a security group from being deleted.
    pub(crate) fn is_in_group(&self, group: &str) -> bool {
        self.phase != Phase::Terminated && self.security_groups.iter().any(|(id, _)| id == group)
    }

    /// Whether what is attached there is its root volume.
    pub(crate) fn is_root(&self, attachment: &Attachment) -> bool {
        attachment.instance == self.id && attachment.device == self.machine.root_device_name
    }

    pub(crate) fn is_shown(&self, now: Timestamp) -> bool {
        self.terminated.is_none_or(|at| now < after(at, TERMINATED_FOR))
    }

    pub(crate) fn write(&self, x: &mut Xml, region: &Region, state: State) {
        let machine = &self.machine;
        x.text("instanceId", &self.id)
            .text("imageId", &self.image)
            .nest("instanceState", |x| state.write(x))
            .text("instanceType", &self.instance_type)
            .text("launchTime", date(self.launched))
            .text("amiLaunchIndex", self.launch_index)
            .text("reason", self.transition_reason())
            .maybe("keyName", self.key_name.as_ref())
            .maybe("clientToken", self.client_token.as_ref())
            .nest("placement", |x| {
                x.text("availabilityZone", &self.zone).text("tenancy", "default");
            })
            .nest("monitoring", |x| {
                x.text("state", "disabled");
            })
            .text("architecture", &machine.architecture)
            .text("rootDeviceType", "ebs")
            .text("rootDeviceName", &machine.root_device_name)
            .text("virtualizationType", &machine.virtualization_type)
            .text("hypervisor", "xen")
            .text("enaSupport", machine.ena_support)
            .text("platformDetails", &machine.platform_details)
            .maybe("bootMode", machine.boot_mode.as_ref())
            .maybe("tpmSupport", machine.tpm_support.as_ref());
        if machine.imds_support.is_some() {
            // An image that asks for version 2 of the metadata service makes instances that require it.
            x.nest("metadataOptions", |x| {
                x.text("state", "applied")
                    .text("httpTokens", "required")
                    .text("httpPutResponseHopLimit", 2)
                    .text("httpEndpoint", "enabled")
                    .text("httpProtocolIpv6", "disabled")
                    .text("instanceMetadataTags", "disabled");
            });
        }
        if let Some(reason) = &self.reason {
            x.nest("stateReason", |x| {
                x.text("code", &reason.code).text("message", &reason.message);
            });
        }
        // What has ended is no longer on a network.
        if self.phase != Phase::Terminated {
            Network::of(&self.owner, &region.name).write_place(x, &self.zone, &self.id);
            x.list("groupSet", &self.security_groups, |x, (id, name)| {
                x.text("groupId", id).text("groupName", name);
            });
        }
        let volumes = region.volumes_of(&self.id);
        x.list("blockDeviceMapping", volumes, |x, (volume, attachment)| {
            x.text("deviceName", &attachment.device).nest("ebs", |x| {
                x.text("volumeId", &volume.id)
                    .text("status", "attached")
                    .text("attachTime", date(attachment.at))
                    .text("deleteOnTermination", attachment.delete_on_termination);
            });
        });
        tags::write(x, &self.tags);
    }
}

impl State {
    pub(crate) fn write(self, x: &mut Xml) {
        x.text("code", self.code).text("name", self.name);
    }
}

impl Region {
    pub(crate) fn owned_instance(&self, cx: &Context, id: &str) -> Result<&Instance, ApiError> {
        INSTANCE.check(id)?;
        self.instances
            .get(id)
            .filter(|instance| instance.owner == cx.account && instance.is_shown(cx.now))
            .ok_or_else(|| INSTANCE.not_found(id))
    }
}
