//! Ids that look like AWS's and are the same in every run: a hash of a seed and a counter.

use crate::error::ApiError;

/// Hands out ids.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    counter: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    /// A resource id: the prefix and 17 hexadecimal digits, the first of which is 0 as in AWS.
    pub(crate) fn resource(&mut self, kind: &Kind) -> String {
        format!("{}0{:016x}", kind.prefix, self.next())
    }

    /// A UUID, as request ids and KMS keys are.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48) & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }

    /// An access key id of temporary credentials.
    pub(crate) fn access_key(&mut self) -> String {
        format!("ASIA{:016X}", self.next())
    }

    /// SplitMix64 over the counter.
    fn next(&mut self) -> u64 {
        self.counter += 1;
        let mut z = self.seed.wrapping_add(self.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// How one kind of resource is named in ids and errors.
pub(crate) struct Kind {
    /// The prefix of its ids.
    pub(crate) prefix: &'static str,
    /// What sentences call it.
    pub(crate) noun: &'static str,
    /// Its name in tags and filters.
    pub(crate) resource_type: &'static str,
    malformed: &'static str,
    not_found: &'static str,
}

pub(crate) const IMAGE: Kind = Kind {
    prefix: "ami-",
    noun: "image id",
    resource_type: "image",
    malformed: "InvalidAMIID.Malformed",
    not_found: "InvalidAMIID.NotFound",
};
pub(crate) const SNAPSHOT: Kind = Kind {
    prefix: "snap-",
    noun: "snapshot",
    resource_type: "snapshot",
    malformed: "InvalidSnapshotID.Malformed",
    not_found: "InvalidSnapshot.NotFound",
};
pub(crate) const INSTANCE: Kind = Kind {
    prefix: "i-",
    noun: "instance ID",
    resource_type: "instance",
    malformed: "InvalidInstanceID.Malformed",
    not_found: "InvalidInstanceID.NotFound",
};
pub(crate) const VOLUME: Kind = Kind {
    prefix: "vol-",
    noun: "volume",
    resource_type: "volume",
    malformed: "InvalidVolumeID.Malformed",
    not_found: "InvalidVolume.NotFound",
};
pub(crate) const SECURITY_GROUP: Kind = Kind {
    prefix: "sg-",
    noun: "security group",
    resource_type: "security-group",
    malformed: "InvalidGroupId.Malformed",
    not_found: "InvalidGroup.NotFound",
};
pub(crate) const KEY_PAIR: Kind = Kind {
    prefix: "key-",
    noun: "key pair",
    resource_type: "key-pair",
    malformed: "InvalidParameterValue",
    not_found: "InvalidKeyPair.NotFound",
};
pub(crate) const USAGE_REPORT: Kind = Kind {
    prefix: "amiur-",
    noun: "image usage report",
    resource_type: "image-usage-report",
    malformed: "InvalidImageUsageReportId.Malformed",
    not_found: "InvalidImageUsageReportId.NotFound",
};
pub(crate) const LAUNCH_TEMPLATE: Kind = Kind {
    prefix: "lt-",
    noun: "launch template ID",
    resource_type: "launch-template",
    malformed: "InvalidLaunchTemplateId.Malformed",
    not_found: "InvalidLaunchTemplateId.NotFound",
};

impl Kind {
    /// Refuses what cannot be an id of this kind: the prefix and 8 or 17 hexadecimal digits.
    pub(crate) fn check(&self, id: &str) -> Result<(), ApiError> {
        let well_formed = id.strip_prefix(self.prefix).is_some_and(|digits| {
            matches!(digits.len(), 8 | 17) && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        });
        if well_formed {
            return Ok(());
        }
        Err(ApiError::new(self.malformed, format!("Invalid id: \"{id}\" (expecting \"{}...\")", self.prefix)))
    }

    /// The error for an id that names nothing the caller can see.
    pub(crate) fn not_found(&self, id: &str) -> ApiError {
        // Only images have brackets.
        let sentence = match self.prefix {
            "ami-" if id.contains(',') => format!("The image ids '[{id}]' do not exist"),
            "ami-" => format!("The image id '[{id}]' does not exist"),
            "lt-" => format!("The specified launch template, with template ID {id}, does not exist."),
            "snap-" | "vol-" => format!("The {} '{id}' does not exist.", self.noun),
            _ => format!("The {} '{id}' does not exist", self.noun),
        };
        ApiError::new(self.not_found, sentence)
    }
}
