//! Instances, as far as they use images.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::agenda::{after, written as date};
use crate::world::filters::{Filter, Filtered, Matcher, Values, one, written};
use crate::world::ids::INSTANCE;
use crate::world::launch_template::TemplateChoice;
use crate::world::paging::Paging;
use crate::world::tags::{self, TagSpecification, Tags};

/// How long a terminated instance is still shown.
const TERMINATED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// An instance. It runs as soon as it is launched.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) image: String,
    pub(crate) instance_type: String,
    pub(crate) launched: Timestamp,
    pub(crate) terminated: Option<Timestamp>,
    pub(crate) tags: Tags,
}

impl Instance {
    pub(crate) fn state(&self) -> &'static str {
        if self.terminated.is_some() {
            "terminated"
        } else {
            "running"
        }
    }

    fn state_code(&self) -> u32 {
        if self.terminated.is_some() { 48 } else { 16 }
    }

    pub(crate) fn is_shown(&self, now: Timestamp) -> bool {
        self.terminated
            .is_none_or(|at| now < after(at, TERMINATED_FOR))
    }

    fn write(&self, x: &mut Xml) {
        x.text("instanceId", &self.id)
            .text("imageId", &self.image)
            .nest("instanceState", |x| {
                x.text("code", self.state_code()).text("name", self.state());
            })
            .text("instanceType", &self.instance_type)
            .text("launchTime", date(self.launched));
        tags::write(x, &self.tags);
    }
}

impl Filtered for Instance {
    const FIELDS: &'static [(&'static str, Values<Self>)] = &[
        ("image-id", |instance| one(&instance.image)),
        ("instance-id", |instance| one(&instance.id)),
        ("instance-state-code", |instance| {
            written(instance.state_code())
        }),
        ("instance-state-name", |instance| one(instance.state())),
        ("instance-type", |instance| one(&instance.instance_type)),
        ("owner-id", |instance| one(&instance.owner)),
    ];

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RunInstances {
    image_id: Option<String>,
    instance_type: Option<String>,
    min_count: u32,
    max_count: u32,
    launch_template: Option<TemplateChoice>,
    #[serde(rename = "ClientToken")]
    _client_token: Option<String>,
    #[serde(rename = "SubnetId")]
    _subnet_id: Option<String>,
    #[serde(rename = "KeyName")]
    _key_name: Option<String>,
    #[serde(default, rename = "SecurityGroupId")]
    _security_groups: Vec<String>,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeInstances {
    #[serde(default, rename = "InstanceId")]
    instance_ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TerminateInstances {
    #[serde(rename = "InstanceId")]
    instance_ids: Vec<String>,
}

impl World {
    pub(crate) fn run_instances(
        &mut self,
        cx: &Context,
        input: RunInstances,
    ) -> Result<Xml, ApiError> {
        if input.min_count == 0 || input.max_count < input.min_count {
            return Err(ApiError::combination(
                "MinCount must be at least 1 and at most MaxCount",
            ));
        }
        let tags = tags::specified(&input.tag_specifications, &[&INSTANCE], &INSTANCE)?;
        let region = self.region(cx)?;
        let template = input
            .launch_template
            .as_ref()
            .map(|choice| region.chosen_version(cx, choice))
            .transpose()?;
        let template = template.map(|version| &version.data);
        let named = input
            .image_id
            .as_ref()
            .or_else(|| template.and_then(|data| data.image_id.as_ref()));
        let named = named.ok_or_else(|| ApiError::missing("ImageId"))?;
        let image = region.resolve_image(cx, named)?;
        let instance_type = input
            .instance_type
            .as_ref()
            .or_else(|| template.and_then(|d| d.instance_type.as_ref()));
        let instance_type = instance_type
            .cloned()
            .unwrap_or_else(|| "m1.small".to_owned());
        self.launchable(cx, &image)?;
        let mut x = Xml::new();
        x.text(
            "reservationId",
            self.ids.resource(&INSTANCE).replacen("i-", "r-", 1),
        )
        .text("ownerId", &cx.account)
        .list("groupSet", [(); 0], |_, ()| ());
        let mut launched = Vec::new();
        for _ in 0..input.max_count {
            launched.push(self.launch(cx, &image, instance_type.clone(), tags.clone())?);
        }
        x.list("instancesSet", launched, |x, instance| instance.write(x));
        Ok(x)
    }

    /// Refuses to launch from an image that is not visible, not complete, disabled or failed.
    fn launchable(&self, cx: &Context, image: &str) -> Result<(), ApiError> {
        self.region(cx)?.visible_image(cx, image)?.check_available()
    }

    /// Starts an instance.
    pub(crate) fn launch(
        &mut self,
        cx: &Context,
        image: &str,
        instance_type: String,
        tags: Tags,
    ) -> Result<Instance, ApiError> {
        let instance = Instance {
            id: self.ids.resource(&INSTANCE),
            owner: cx.account.clone(),
            image: image.to_owned(),
            instance_type,
            launched: cx.now,
            terminated: None,
            tags,
        };
        let region = self.region_mut(cx)?;
        if let Some(image) = region.images.get_mut(image) {
            image.last_launched = Some(cx.now);
        }
        region
            .instances
            .insert(instance.id.clone(), instance.clone());
        Ok(instance)
    }

    pub(crate) fn describe_instances(
        &mut self,
        cx: &Context,
        input: DescribeInstances,
    ) -> Result<Xml, ApiError> {
        if !input.instance_ids.is_empty() && input.max_results.is_some() {
            return Err(ApiError::combination(
                "The parameter instancesSet cannot be used with the parameter maxResults",
            ));
        }
        let paging = Paging::ec2(input.max_results, input.next_token.as_deref(), 5..=1000)?;
        let matcher = Matcher::new(&input.filters)?;
        let region = self.region(cx)?;
        let visible =
            |instance: &Instance| instance.owner == cx.account && instance.is_shown(cx.now);
        for id in &input.instance_ids {
            INSTANCE.check(id)?;
            region
                .instances
                .get(id)
                .filter(|i| visible(i))
                .ok_or_else(|| INSTANCE.not_found(id))?;
        }
        let (page, token) = paging.page(&region.instances, |instance| {
            visible(instance)
                && (input.instance_ids.is_empty() || input.instance_ids.contains(&instance.id))
                && matcher.passes(instance, &cx.account)
        });
        let mut x = Xml::new();
        x.list("reservationSet", page, |x, instance| {
            x.text("reservationId", instance.id.replacen("i-", "r-", 1))
                .text("ownerId", &instance.owner)
                .list("instancesSet", [instance], |x, instance| instance.write(x));
        });
        x.maybe("nextToken", token);
        Ok(x)
    }

    pub(crate) fn terminate_instances(
        &mut self,
        cx: &Context,
        input: TerminateInstances,
    ) -> Result<Xml, ApiError> {
        let region = self.region_mut(cx)?;
        for id in &input.instance_ids {
            INSTANCE.check(id)?;
            region
                .instances
                .get(id)
                .filter(|i| i.owner == cx.account)
                .ok_or_else(|| INSTANCE.not_found(id))?;
        }
        let mut x = Xml::new();
        x.list("instancesSet", &input.instance_ids, |x, id| {
            let Some(instance) = region.instances.get_mut(id) else {
                return;
            };
            let write = |x: &mut Xml, instance: &Instance| {
                x.text("code", instance.state_code())
                    .text("name", instance.state());
            };
            x.text("instanceId", id)
                .nest("previousState", |x| write(x, instance));
            instance.terminated.get_or_insert(cx.now);
            x.nest("currentState", |x| write(x, instance));
        });
        Ok(x)
    }
}
