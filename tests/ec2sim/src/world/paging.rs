//! `MaxResults` and `NextToken` over resources in the order of their keys.
//!
//! A token names the last key of its page, so a page neither repeats nor leaves out what lies beyond it, whatever is
//! created or deleted in between.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use crate::config::Config;
use crate::error::ApiError;
use crate::world::shelf::Shelf;

/// Which page is asked for.
#[derive(Debug)]
pub(crate) struct Paging {
    after: Option<String>,
    limit: usize,
    begins_empty: bool,
}

/// Comes before every key.
const START: &str = "\0";

impl Paging {
    /// A page of an EC2 list: everything, unless a size within `bounds` is given.
    pub(crate) fn ec2(
        max_results: Option<i64>,
        next_token: Option<&str>,
        bounds: RangeInclusive<i64>,
    ) -> Result<Self, ApiError> {
        let limit = match max_results {
            None => usize::MAX,
            Some(size) if bounds.contains(&size) => usize::try_from(size).unwrap_or(usize::MAX),
            Some(size) => {
                return Err(ApiError::invalid(format!(
                    "Value ( {size} ) for parameter maxResults is invalid. Expecting a value between {} and {}.",
                    bounds.start(),
                    bounds.end()
                )));
            }
        };
        Self::after_token(next_token, limit, "The specified NextToken is not valid.")
    }

    /// A page of an EC2 list that can also be asked for ids, which does not go together with a size.
    pub(crate) fn listing(
        set: &str,
        ids: &[String],
        max_results: Option<i64>,
        next_token: Option<&str>,
    ) -> Result<Self, ApiError> {
        if !ids.is_empty() && max_results.is_some() {
            return Err(ApiError::combination(format!(
                "The parameter {set} cannot be used with the parameter maxResults"
            )));
        }
        // Images alone come in smaller pages too, and of snapshots more can be asked for than come:
        // <https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-snapshots.html>.
        let least = if set == "imageIdSet" { 1 } else { 5 };
        let max_results = if set == "snapshotSet" { max_results.map(|size| size.min(1000)) } else { max_results };
        Self::ec2(max_results, next_token, least..=1000)
    }

    /// The same with pages as small, and as empty, as they are configured.
    pub(crate) fn configured(self, config: &Config) -> Self {
        Self { limit: self.limit.min(config.page), begins_empty: config.begins_empty, ..self }
    }

    /// A page of an SSM list.
    pub(crate) fn ssm(max_results: Option<usize>, next_token: Option<&str>, most: usize) -> Result<Self, ApiError> {
        let limit = max_results.unwrap_or(most);
        if !(1..=most).contains(&limit) {
            return Err(ApiError::validation(format!("MaxResults must be between 1 and {most}")));
        }
        Self::after_token(next_token, limit, "The specified token is not valid.")
    }

    fn after_token(next_token: Option<&str>, limit: usize, refusal: &str) -> Result<Self, ApiError> {
        let refused = || ApiError::new("InvalidNextToken", refusal);
        let after = next_token.map(|token| decode(token).ok_or_else(refused)).transpose()?;
        Ok(Self { after, limit, begins_empty: false })
    }

    /// The resources of the page that pass `keep`, and the token of the next page.
    pub(crate) fn page<'a, T>(
        &self,
        resources: &'a BTreeMap<String, T>,
        keep: impl FnMut(&T) -> bool,
    ) -> (Vec<&'a T>, Option<String>) {
        let range = resources.range::<str, _>((self.from(), Bound::Unbounded));
        self.take(range, keep)
    }

    /// The same of a shelf.
    pub(crate) fn of_shelf<'a, T>(
        &self,
        shelf: &'a Shelf<T>,
        keep: impl FnMut(&T) -> bool,
    ) -> (Vec<&'a T>, Option<String>) {
        self.take(shelf.after(self.from()), keep)
    }

    fn from(&self) -> Bound<&str> {
        self.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded)
    }

    fn take<'a, T>(
        &self,
        resources: impl Iterator<Item = (&'a String, &'a T)>,
        mut keep: impl FnMut(&T) -> bool,
    ) -> (Vec<&'a T>, Option<String>) {
        let mut page = Vec::new();
        if self.begins_empty && self.after.is_none() {
            return (page, Some(encode(START)));
        }
        let mut last = None;
        for (key, resource) in resources {
            if !keep(resource) {
                continue;
            }
            if page.len() == self.limit {
                return (page, last.map(|key: &String| encode(key)));
            }
            page.push(resource);
            last = Some(key);
        }
        (page, None)
    }
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        token.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}
