//! Which organisation and units an account is in. Launch permissions can name them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::world::World;
use crate::world::image::Grant;

/// Where an account is in AWS Organizations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Membership {
    /// The ARN of its organisation.
    pub organization: Option<String>,
    /// The ARNs of its organisational unit and of those above.
    pub units: Vec<String>,
}

impl World {
    pub(crate) fn set_membership(&mut self, account: &str, membership: Membership) {
        self.memberships.insert(account.to_owned(), membership);
    }

    /// All the ways in which something can be shared with an account.
    pub(crate) fn principals(&self, account: &str) -> BTreeSet<Grant> {
        let itself = [Grant::All, Grant::Account(account.to_owned())];
        let membership = self.memberships.get(account);
        let organization = membership.and_then(|m| m.organization.clone());
        let units = membership.into_iter().flat_map(|m| m.units.iter().cloned());
        itself
            .into_iter()
            .chain(organization.map(Grant::Organization))
            .chain(units.map(Grant::OrganizationalUnit))
            .collect()
    }
}
