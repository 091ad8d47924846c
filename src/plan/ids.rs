//! Names and ids as types, so that one cannot be taken for another.

/// Defines a type that wraps the text of a name or id.
macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )*};
}

text_id! {
    /// A 12-digit AWS account id.
    AccountId;
    /// The name of an AWS region, like `eu-west-1`.
    RegionName;
    /// The id of an AMI.
    ImageId;
    /// The id of an EBS snapshot.
    SnapshotId;
    /// A version of an image, like `1.4.2`.
    VersionName;
    /// The name of a release channel, like `prod`.
    ChannelName;
    /// The full path of an SSM parameter.
    ParameterName;
}

/// Who owns an image: the value of the tag `amiops.dev/owner`, `<owner id>/<namespace>/<name>`.
///
/// It is the identity of a `MachineImage` in AWS. It outlives the cluster: the same manifest in a new
/// cluster with the same owner id finds its images again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Owner {
    /// Setting of the installation, so that two clusters on one account do not touch each other's images.
    pub installation: String,
    /// The namespace of the object.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
}

impl Owner {
    /// Reads the value of an ownership tag; `None` if it is not one.
    pub fn parse(tag: &str) -> Option<Self> {
        let mut parts = tag.split('/');
        let owner = Self {
            installation: parts.next()?.to_owned(),
            namespace: parts.next()?.to_owned(),
            name: parts.next()?.to_owned(),
        };
        parts.next().is_none().then_some(owner)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.installation, self.namespace, self.name)
    }
}

/// An image and the region it is in; written `us-east-1/ami-0aa11bb22cc33dd44` in the tag `amiops.dev/source`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ImageRef {
    /// The region.
    pub region: RegionName,
    /// The image.
    pub id: ImageId,
}

impl ImageRef {
    /// Reads the value of a source tag; `None` if it is not one.
    pub fn parse(tag: &str) -> Option<Self> {
        let (region, id) = tag.split_once('/')?;
        Some(Self { region: region.into(), id: id.into() })
    }
}

impl std::fmt::Display for ImageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.region, self.id)
    }
}
