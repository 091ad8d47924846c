//! Attributes of an instance: what tools change before they make an image of it, or before they may end it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::ApiError;
use crate::request::Context;
use crate::wire::xml::Xml;
use crate::world::World;
use crate::world::instance_types::check_instance_type;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeAttribute {
    instance_id: String,
    attribute: String,
}

/// One attribute a call. What cannot change how an image is made is accepted and has no effect.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ModifyAttribute {
    instance_id: String,
    disable_api_termination: Option<Value<bool>>,
    disable_api_stop: Option<Value<bool>>,
    ena_support: Option<Value<bool>>,
    instance_type: Option<Value<String>>,
    sriov_net_support: Option<Value<String>>,
    ebs_optimized: Option<IgnoredAny>,
    #[serde(rename = "GroupId")]
    groups: Option<IgnoredAny>,
    instance_initiated_shutdown_behavior: Option<IgnoredAny>,
    source_dest_check: Option<IgnoredAny>,
    user_data: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Value<T> {
    value: T,
}

impl World {
    pub(crate) fn describe_instance_attribute(
        &mut self,
        cx: &Context,
        input: DescribeAttribute,
    ) -> Result<Xml, ApiError> {
        let instance = self.region(cx)?.owned_instance(cx, &input.instance_id)?;
        let value = match input.attribute.as_str() {
            "disableApiStop" => Some(instance.stop_protected.to_string()),
            "disableApiTermination" => Some(instance.protected.to_string()),
            "enaSupport" => Some(instance.machine.ena_support.to_string()),
            "instanceType" => Some(instance.instance_type.clone()),
            "rootDeviceName" => Some(instance.machine.root_device_name.clone()),
            "sriovNetSupport" => instance.machine.sriov_net_support.clone(),
            "instanceInitiatedShutdownBehavior" => Some("stop".to_owned()),
            "userData" | "kernel" | "ramdisk" => None,
            other => return Err(ApiError::invalid_value("attribute", other)),
        };
        let mut x = Xml::new();
        x.text("instanceId", &instance.id).nest(&input.attribute, |x| {
            x.maybe("value", value);
        });
        Ok(x)
    }

    /// The type and the networking can be changed only while the instance is stopped:
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html>.
    pub(crate) fn modify_instance_attribute(&mut self, cx: &Context, input: ModifyAttribute) -> Result<Xml, ApiError> {
        input.check()?;
        let region = self.region_mut(cx)?;
        let state = region.owned_instance(cx, &input.instance_id)?.state(cx.now).name;
        let needs_stop =
            input.ena_support.is_some() || input.instance_type.is_some() || input.sriov_net_support.is_some();
        if needs_stop && state != "stopped" {
            return Err(ApiError::new(
                "IncorrectInstanceState",
                format!("The instance '{}' is not in the 'stopped' state.", input.instance_id),
            ));
        }
        let Some(instance) = region.instances.get_mut(&input.instance_id) else {
            return Ok(Xml::done());
        };
        if let Some(protect) = input.disable_api_termination {
            instance.protected = protect.value;
        }
        if let Some(protect) = input.disable_api_stop {
            instance.stop_protected = protect.value;
        }
        if let Some(kind) = input.instance_type {
            check_instance_type(&kind.value)?;
            instance.instance_type = kind.value;
        }
        if let Some(ena) = input.ena_support {
            instance.machine.own().ena_support = ena.value;
        }
        if let Some(sriov) = input.sriov_net_support {
            instance.machine.own().sriov_net_support = Some(sriov.value);
        }
        Ok(Xml::done())
    }
}

impl ModifyAttribute {
    /// A call changes one attribute: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html>.
    fn check(&self) -> Result<(), ApiError> {
        let given = [
            self.disable_api_termination.is_some(),
            self.disable_api_stop.is_some(),
            self.ena_support.is_some(),
            self.instance_type.is_some(),
            self.sriov_net_support.is_some(),
            self.ebs_optimized.is_some(),
            self.groups.is_some(),
            self.instance_initiated_shutdown_behavior.is_some(),
            self.source_dest_check.is_some(),
            self.user_data.is_some(),
        ];
        match given.into_iter().filter(|given| *given).count() {
            0 => Err(ApiError::combination("No attributes specified.")),
            1 => Ok(()),
            _ => Err(ApiError::combination("Fields for multiple attribute types specified")),
        }
    }
}
