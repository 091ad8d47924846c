//! `Filter.N`: a table of fields for each kind of resource says what may be asked.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::ApiError;
use crate::pattern::Pattern;
use crate::world::tags::Tags;

/// How many filters a call may have.
const MAX_FILTERS: usize = 50;
/// How many values the filters of a call may have together.
const MAX_VALUES: usize = 200;
/// How many characters a value may have: one less than that of a tag.
const MAX_VALUE: usize = 255;

/// One filter of a call: a resource passes if one of its values matches one of these.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Filter {
    pub(crate) name: String,
    #[serde(default, rename = "Value")]
    pub(crate) values: Vec<String>,
}

/// The values that a resource has under the name of a filter.
pub(crate) type Values<T> = fn(&T) -> Vec<Cow<'_, str>>;

/// What can be filtered.
pub(crate) trait Filtered: Sized + 'static {
    /// The names of its filters, tags apart.
    const FIELDS: &'static [(&'static str, Values<Self>)];

    /// Whether a name is that of a documented filter on what is not simulated: nothing here passes it.
    fn is_absent(_name: &str) -> bool {
        false
    }

    fn tags(&self) -> &Tags;

    /// The tags of it that an account sees; a filter must not tell what it may not see.
    fn tags_for(&self, _viewer: &str) -> Tags {
        self.tags().clone()
    }
}

enum Field<'f, T> {
    Values(Values<T>),
    Absent,
    TagKey,
    TagValue(&'f str),
}

/// The filters of a call, checked and ready.
pub(crate) struct Matcher<'f, T>(Vec<(Field<'f, T>, Vec<Pattern>)>);

impl<'f, T: Filtered> Matcher<'f, T> {
    /// Refuses a filter that the resource does not have.
    pub(crate) fn new(filters: &'f [Filter]) -> Result<Self, ApiError> {
        check_limits(filters)?;
        filters
            .iter()
            .map(|filter| {
                let patterns = filter.values.iter().map(|value| Pattern::new(value));
                Ok((field(filter)?, patterns.collect()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the resource passes every filter.
    pub(crate) fn passes(&self, resource: &T, viewer: &str) -> bool {
        self.0.iter().all(|(field, patterns)| {
            let any = |value: &str| patterns.iter().any(|pattern| pattern.matches(value));
            match field {
                Field::Values(values) => values(resource).iter().any(|value| any(value)),
                Field::Absent => false,
                Field::TagKey => resource.tags_for(viewer).iter().any(|(key, _)| any(key)),
                Field::TagValue(key) => resource.tags_for(viewer).get(key).is_some_and(any),
            }
        })
    }
}

/// The filters of one name which no resource can answer alone, since it depends on the moment or on the caller.
pub(crate) struct Apart(Vec<Vec<Pattern>>);

impl Apart {
    /// Takes them out of the filters of a call, all of which count towards its limits.
    pub(crate) fn take(filters: &mut Vec<Filter>, name: &str) -> Result<Self, ApiError> {
        check_limits(filters)?;
        let taken: Vec<Filter> = filters.extract_if(.., |filter| filter.name == name).collect();
        taken.iter().try_for_each(Filter::check)?;
        let patterns = |filter: &Filter| filter.values.iter().map(|value| Pattern::new(value)).collect();
        Ok(Self(taken.iter().map(patterns).collect()))
    }

    /// Whether the value passes all of them; it is asked for only if there are any.
    pub(crate) fn passes(&self, value: impl FnOnce() -> String) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let value = value();
        self.0.iter().all(|patterns| patterns.iter().any(|pattern| pattern.matches(&value)))
    }
}

impl Filter {
    fn check(&self) -> Result<(), ApiError> {
        if self.values.is_empty() {
            return Err(ApiError::invalid(format!("The filter '{}' has no value", self.name)));
        }
        Ok(())
    }
}

/// The limits of <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>. That page speaks of 200
/// values for each filter; the sentence with which EC2 refuses counts those of a call.
fn check_limits(filters: &[Filter]) -> Result<(), ApiError> {
    let exceeded = |message| Err(ApiError::new("FilterLimitExceeded", message));
    if filters.len() > MAX_FILTERS {
        return exceeded(format!("The maximum number of filters specified on a single call is {MAX_FILTERS}"));
    }
    if filters.iter().map(|filter| filter.values.len()).sum::<usize>() > MAX_VALUES {
        return exceeded(format!("The maximum number of filter values specified on a single call is {MAX_VALUES}"));
    }
    if filters.iter().flat_map(|filter| &filter.values).any(|value| value.chars().count() > MAX_VALUE) {
        return exceeded(format!("The maximum length for a filter value is {MAX_VALUE} characters"));
    }
    Ok(())
}

fn field<T: Filtered>(filter: &Filter) -> Result<Field<'_, T>, ApiError> {
    filter.check()?;
    if filter.name == "tag-key" {
        return Ok(Field::TagKey);
    }
    if let Some(key) = filter.name.strip_prefix("tag:") {
        return Ok(Field::TagValue(key));
    }
    if T::is_absent(&filter.name) {
        return Ok(Field::Absent);
    }
    T::FIELDS
        .iter()
        .find(|(name, _)| *name == filter.name)
        .map(|(_, values)| Field::Values(*values))
        .ok_or_else(|| ApiError::invalid(format!("The filter '{}' is invalid", filter.name)))
}

/// One value.
pub(crate) fn one(value: &str) -> Vec<Cow<'_, str>> {
    vec![Cow::Borrowed(value)]
}

/// A value that has to be written first.
pub(crate) fn written<'a>(value: impl ToString) -> Vec<Cow<'a, str>> {
    vec![Cow::Owned(value.to_string())]
}

/// A value that may be absent.
pub(crate) fn maybe(value: Option<&str>) -> Vec<Cow<'_, str>> {
    value.map(Cow::Borrowed).into_iter().collect()
}
