//! Members that are kept and answered without being understood.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::wire::xml::Xml;

/// A value, or a structure or list of them, as a call gave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Plain {
    Text(String),
    /// By name; the members of a list by number.
    Members(BTreeMap<String, Plain>),
}

impl Plain {
    /// The text at the end of a path of names.
    pub(crate) fn member(&self, path: &[&str]) -> Option<&str> {
        match (self, path) {
            (Plain::Text(text), []) => Some(text),
            (Plain::Members(members), [first, rest @ ..]) => members.get(*first)?.member(rest),
            _ => None,
        }
    }

    /// Writes it under the name that answers have for that of a call: `networkInterfaceSet` for `NetworkInterface.1`.
    pub(crate) fn write(&self, x: &mut Xml, name: &str) {
        match self {
            Plain::Text(text) => {
                x.text(&lower(name), text);
            }
            Plain::Members(members) if members.keys().all(|key| key.parse::<u32>().is_ok()) => {
                let name =
                    if name == "SecurityGroupId" { "groupSet".to_owned() } else { format!("{}Set", lower(name)) };
                x.list(&name, members.values(), |x, member| member.write_inside(x));
            }
            Plain::Members(_) => {
                x.nest(&lower(name), |x| self.write_inside(x));
            }
        }
    }

    fn write_inside(&self, x: &mut Xml) {
        match self {
            Plain::Text(text) => {
                x.raw(text);
            }
            Plain::Members(members) => members.iter().for_each(|(name, member)| member.write(x, name)),
        }
    }
}

/// Refuses members that there are not.
pub(crate) fn check_known(members: &BTreeMap<String, Plain>, known: &[&str]) -> Result<(), ApiError> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ApiError::new("UnknownParameter", format!("The parameter {name} is not recognized"))),
        None => Ok(()),
    }
}

/// The first letter of a name made small.
fn lower(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
