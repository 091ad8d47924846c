//! How fast a volume is: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>.

use serde::Serialize;

use crate::error::ApiError;
use crate::wire::xml::Xml;

/// What was asked for; nothing where the type of volume decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Performance {
    iops: Option<u32>,
    throughput: Option<u32>,
}

const GP3_IOPS: u32 = 3000;
const GP3_THROUGHPUT: u32 = 125;

impl Performance {
    /// Reads what a call asks of a volume of a type, or refuses what such volumes do not have.
    pub(crate) fn asked(volume_type: &str, iops: Option<u32>, throughput: Option<u32>) -> Result<Self, ApiError> {
        let provisioned = matches!(volume_type, "io1" | "io2");
        if provisioned && iops.is_none() {
            let message = format!("The parameter iops must be specified for {volume_type} volumes.");
            return Err(ApiError::new("MissingParameter", message));
        }
        let unsupported = |parameter: &str| {
            ApiError::combination(format!("The parameter {parameter} is not supported for {volume_type} volumes."))
        };
        if iops.is_some() && !provisioned && volume_type != "gp3" {
            return Err(unsupported("iops"));
        }
        if throughput.is_some() && volume_type != "gp3" {
            return Err(unsupported("throughput"));
        }
        let iops_bounds = match volume_type {
            "io1" => 100..=64_000,
            "io2" => 100..=256_000,
            _ => GP3_IOPS..=80_000,
        };
        if let Some(iops) = iops.filter(|iops| !iops_bounds.contains(iops)) {
            return Err(out_of_bounds("iops", iops, *iops_bounds.start(), *iops_bounds.end()));
        }
        if let Some(throughput) = throughput.filter(|throughput| !(GP3_THROUGHPUT..=2000).contains(throughput)) {
            return Err(out_of_bounds("throughput", throughput, GP3_THROUGHPUT, 2000));
        }
        Ok(Self { iops, throughput })
    }

    /// That of a volume of a type and size: what was asked for, or what it has of itself.
    pub(crate) fn of_volume(self, volume_type: &str, size: u32) -> Self {
        let own = match volume_type {
            "gp2" => Self { iops: Some(size.saturating_mul(3).clamp(100, 16_000)), throughput: None },
            "gp3" => Self { iops: Some(GP3_IOPS), throughput: Some(GP3_THROUGHPUT) },
            _ => Self::default(),
        };
        Self { iops: self.iops.or(own.iops), throughput: self.throughput.or(own.throughput) }
    }

    /// What an image says of a volume that has it: of some types it is not theirs to choose.
    pub(crate) fn in_image(self, volume_type: &str) -> Self {
        if matches!(volume_type, "gp3" | "io1" | "io2") { self } else { Self::default() }
    }

    pub(crate) fn write(self, x: &mut Xml) {
        x.maybe("iops", self.iops).maybe("throughput", self.throughput);
    }
}

fn out_of_bounds(what: &str, value: u32, least: u32, most: u32) -> ApiError {
    ApiError::invalid(format!("Volume {what} of {value} is out of bounds; it must lie between {least} and {most}."))
}
