//! SSM parameters: read in batches and remembered; written only if they are ours.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging, Tag};
use jiff::Timestamp;
use tokio::time::Instant;

use super::client::Aws;
use super::errors::CallError;
use crate::plan::ids::{ChannelName, ImageId, Owner, ParameterName, RegionName};
use crate::plan::{Class, PARAMETER_NOT_OURS, Parameter, SSM_REWRITE, Shown, Trouble, Written, tags};

/// GetParameters takes this many names at most.
const NAMES_PER_CALL: usize = 10;
/// How soon a parameter is read again that did not yet name what was written.
const UNCONFIRMED: Duration = Duration::from_secs(5);
/// How soon a parameter is read again that could not be read.
const UNREAD: Duration = Duration::from_mins(1);
/// The data type by which SSM checks that the value is an image of the account and region.
const DATA_TYPE: &str = "aws:ec2:image";

/// What was read of each parameter; nothing of one that does not exist.
pub(super) type Answers = BTreeMap<ParameterName, Result<Option<Parameter>, Trouble>>;

/// What is remembered of the parameters of one region.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    read: BTreeMap<ParameterName, Remembered>,
}

#[derive(Debug, Clone)]
struct Remembered {
    /// What SSM answered last.
    answer: Result<Option<Parameter>, Trouble>,
    /// What was written last, as long as SSM has not shown it and may come to.
    written: Option<Write>,
    /// When it was read, by a clock that does not jump; nothing if it is to be read at the next question.
    at: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Write {
    image: ImageId,
    at: Instant,
    answered: bool,
}

impl Parameters {
    /// Which of `wanted` must be read, because they never were or not for `age`, because that failed, or because SSM had not taken
    /// yet what was written.
    pub(super) fn due(&self, wanted: &BTreeSet<ParameterName>, age: Duration) -> Vec<ParameterName> {
        let is_due = |name: &&ParameterName| {
            self.read.get(*name).is_none_or(|r| {
                let age = match &r.answer {
                    _ if r.written.is_some() => UNCONFIRMED.min(age),
                    Err(_) => UNREAD.min(age),
                    Ok(_) => age,
                };
                r.at.is_none_or(|at| at.elapsed() >= age)
            })
        };
        wanted.iter().filter(is_due).cloned().collect()
    }

    /// Takes in what was read.
    pub(super) fn apply(&mut self, answers: Answers) {
        let at = Some(Instant::now());
        for (name, answer) in answers {
            let before = self.read.get(&name).and_then(|r| r.written.clone());
            let shows = |write: &Write| matches!(&answer, Ok(Some(p)) if p.names(&write.image));
            let written = before.filter(|write| !shows(write) && write.at.elapsed() < SSM_REWRITE);
            self.read.insert(name, Remembered { answer, written, at });
        }
    }

    /// The parameters that SSM may still come to show what was written to them, whether a manifest still names them or not.
    pub(super) fn unshown(&self) -> impl Iterator<Item = &ParameterName> {
        self.read.iter().filter(|(_, r)| r.written.is_some()).map(|(name, _)| name)
    }

    /// What SSM showed of a parameter when it was last read, if it was there.
    pub(super) fn shown(&self, name: &ParameterName) -> Option<Shown> {
        self.read.get(name)?.answer.as_ref().ok()?.as_ref()?.shown.clone()
    }

    /// Remembers what has just been written, until it is shown. Without an answer it may have been written or not.
    pub(super) fn wrote(&mut self, name: &ParameterName, image: &ImageId, answered: bool) {
        let before = self.read.get(name).and_then(|r| r.answer.as_ref().ok().cloned().flatten());
        let at = Instant::now();
        let written = Some(Write { image: image.clone(), at, answered });
        self.read.insert(name.clone(), Remembered { answer: Ok(before), written, at: Some(at) });
    }

    /// Has a parameter read again at the next question.
    pub(super) fn read_again(&mut self, name: &ParameterName) {
        self.read.get_mut(name).into_iter().for_each(|r| r.at = None);
    }

    /// Forgets a parameter that was removed, so that it is read again.
    pub(super) fn forget(&mut self, name: &ParameterName) {
        self.read.remove(name);
    }

    /// Everything that was read, older than asked for or not.
    pub(super) fn known(&self, names: &BTreeSet<ParameterName>) -> Answers {
        let known = |name: &ParameterName| Some((name.clone(), self.read.get(name)?.told()));
        names.iter().filter_map(known).collect()
    }

    /// Marks everything as due.
    pub(super) fn expire(&mut self) {
        self.read.values_mut().for_each(|r| r.at = None);
    }
}

impl Remembered {
    /// What SSM answered, together with what was written and is not shown yet.
    fn told(&self) -> Result<Option<Parameter>, Trouble> {
        let Self { answer, written, .. } = self;
        let written =
            written.clone().map(|Write { image, at, answered }| Written { image, ago: at.elapsed(), answered });
        // One that SSM does not show, although it was written: its check of the image is not over.
        let shown = answer.clone()?.and_then(|parameter| parameter.shown);
        Ok((shown.is_some() || written.is_some()).then_some(Parameter { shown, written }))
    }
}

/// Reads parameters. AWS refuses a whole call for one name that it does not let us read, which may be of another object: what is
/// refused is asked for one by one. When it does not answer or wants fewer calls, the rest is not asked for: passes wait for it.
pub(super) async fn read(aws: &Aws, region: &RegionName, names: &[ParameterName]) -> Answers {
    let mut answers = Answers::new();
    let mut groups: VecDeque<_> = names.chunks(NAMES_PER_CALL).collect();
    while let Some(names) = groups.pop_front() {
        let answer = read_at_once(aws, region, names).await;
        match &answer {
            Err(error) if error.is_refusal() && names.len() > 1 => {
                names.chunks(1).for_each(|name| groups.push_back(name))
            }
            Err(error) if error.calls_for_a_pause() => {
                let rest: Vec<_> = names.iter().chain(groups.drain(..).flatten()).cloned().collect();
                answers.extend(each(&rest, answer));
            }
            _ => answers.extend(each(names, answer)),
        }
    }
    answers
}

/// What an answer says of each of the names that it was asked for.
fn each(names: &[ParameterName], answer: Result<BTreeMap<ParameterName, Parameter>, CallError>) -> Answers {
    let subject = match names {
        [name] => format!("parameter {name}"),
        _ => "the parameters of channels".to_owned(),
    };
    let answer = answer.map_err(|error| error.about(&subject));
    let of = |name: &ParameterName| answer.as_ref().map(|found| found.get(name).cloned()).map_err(Clone::clone);
    names.iter().map(|name| (name.clone(), of(name))).collect()
}

/// Reads parameters in one call; one that does not exist is left out of the answer.
async fn read_at_once(
    aws: &Aws,
    region: &RegionName,
    names: &[ParameterName],
) -> Result<BTreeMap<ParameterName, Parameter>, CallError> {
    let names = names.iter().map(|n| n.to_string()).collect();
    let call = aws.in_region(region).ssm.get_parameters().set_names(Some(names)).send();
    let answer = aws.call("GetParameters", region, call).await?;
    let parameter = |p: &aws_sdk_ssm::types::Parameter| {
        let modified = p.last_modified_date().and_then(|at| Timestamp::from_second(at.secs()).ok());
        let value = p.value()?.to_owned();
        let shown = Shown { value, modified, is_image: p.data_type() == Some(DATA_TYPE) };
        Some((ParameterName::new(p.name()?), Parameter { shown: Some(shown), written: None }))
    };
    Ok(answer.parameters().iter().filter_map(parameter).collect())
}

/// Why a parameter was not written.
pub(super) struct Unwritten {
    pub(super) trouble: Trouble,
    /// Whether it may have been written all the same: SSM did not answer, or lost its way.
    pub(super) in_doubt: bool,
}

impl Unwritten {
    fn by(error: &CallError, name: &ParameterName) -> Self {
        Self { in_doubt: error.may_be_done(), trouble: error.about(name.as_str()) }
    }
}

/// Before it was to be written, something else failed.
impl From<Trouble> for Unwritten {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, in_doubt: false }
    }
}

/// Makes a parameter name an image. One that exists is changed only if its tags say that it is ours; where it is known to exist
/// (`shown`), nothing is written before they were read.
pub(super) async fn put(
    aws: &Aws,
    region: &RegionName,
    name: &ParameterName,
    shown: Option<Shown>,
    image: &ImageId,
    owner: &Owner,
    channel: &ChannelName,
) -> Result<(), Unwritten> {
    let tags = [(tags::OWNER, owner.to_string()), (tags::CHANNEL, channel.to_string())];
    let tags = tags.into_iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok());
    let clients = aws.in_region(region);
    let value = || {
        let put = clients.ssm.put_parameter().name(name.as_str()).value(image.as_str());
        put.r#type(ParameterType::String).data_type(DATA_TYPE)
    };
    // PutParameter cannot be told apart from its repetition: a second one makes a second version. So it is not
    // retried blindly; after an unknown outcome it is looked for first.
    let once = || aws_sdk_ssm::config::Builder::new().retry_config(RetryConfig::disabled());
    let known = shown.is_some() && find_ours(aws, region, name, owner).await?;
    if known && shown.is_some_and(|shown| !shown.is_image) {
        return Err(is_text(region, name).into());
    }
    if !known {
        let create = value().overwrite(false).set_tags(Some(tags.collect())).customize().config_override(once()).send();
        match aws.call("PutParameter", region, create).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_there_already() => {
                if !find_ours(aws, region, name, owner).await? {
                    // It went again; the next try makes it.
                    return Err(Unwritten::by(&error, name));
                }
                // It was made since it was looked for, perhaps by a process that ended before it could tell.
                let found = read_at_once(aws, region, std::slice::from_ref(name)).await;
                let found = found.map_err(|e| e.about(name.as_str()))?;
                if found.get(name).is_some_and(|parameter| parameter.names(image)) {
                    return Ok(());
                }
            }
            Err(error) => return Err(Unwritten::by(&error, name)),
        }
    }
    let change = value().overwrite(true).customize().config_override(once()).send();
    aws.call("PutParameter", region, change).await.map(drop).map_err(|e| Unwritten::by(&e, name))
}

/// What to say of a parameter of ours that cannot be made to name an image.
fn is_text(region: &RegionName, name: &ParameterName) -> Trouble {
    let message = format!(
        "parameter {name} in {region} does not have the data type {DATA_TYPE}, and SSM lets nobody change that. To fix: delete \
         it, and amiops makes it anew"
    );
    Trouble::new(Class::NeedsPerson, "ParameterIsText", message)
}

/// Removes a parameter, if its tags say that it is ours. The answer is whether it was there.
pub(super) async fn delete(
    aws: &Aws,
    region: &RegionName,
    name: &ParameterName,
    owner: &Owner,
) -> Result<bool, Trouble> {
    if !find_ours(aws, region, name, owner).await? {
        return Ok(false);
    }
    let call = aws.in_region(region).ssm.delete_parameter().name(name.as_str()).send();
    match aws.call("DeleteParameter", region, call).await {
        Ok(_) => Ok(true),
        // An attempt that was not answered may have removed it.
        Err(error) if error.is_gone() => Ok(true),
        Err(error) => Err(error.about(name.as_str())),
    }
}

/// Whether a parameter is there, and ours.
///
/// # Errors
/// When it is somebody else's, or cannot be asked about.
async fn find_ours(aws: &Aws, region: &RegionName, name: &ParameterName, owner: &Owner) -> Result<bool, Trouble> {
    let parameter = ResourceTypeForTagging::Parameter;
    let ssm = &aws.in_region(region).ssm;
    let call = ssm.list_tags_for_resource().resource_type(parameter).resource_id(name.as_str()).send();
    let answer = match aws.call("ListTagsForResource", region, call).await {
        Ok(answer) => answer,
        Err(error) if error.has_no_tags() => return Ok(false),
        Err(error) => return Err(error.about(name.as_str())),
    };
    let found = answer.tag_list().iter().find(|tag| tag.key() == tags::OWNER).map(|tag| tag.value());
    if found == Some(owner.to_string().as_str()) {
        return Ok(true);
    }
    let whose = found.map_or_else(|| "has no owner tag".to_owned(), |other| format!("belongs to {other}"));
    let message = format!(
        "parameter {name} in {region} exists and {whose}, so amiops leaves it alone. To fix: choose another parameter, \
         or tag it {}={owner} to hand it over",
        tags::OWNER
    );
    Err(Trouble::new(Class::NeedsPerson, PARAMETER_NOT_OURS, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_mins(10);

    fn names() -> BTreeSet<ParameterName> {
        BTreeSet::from([ParameterName::new("/golden/web/prod")])
    }

    fn read(answer: &Result<Option<Parameter>, Trouble>) -> Answers {
        names().into_iter().map(|name| (name, answer.clone())).collect()
    }

    fn shown(value: &str) -> Answers {
        let shown = Shown { value: value.into(), modified: None, is_image: true };
        read(&Ok(Some(Parameter { shown: Some(shown), written: None })))
    }

    /// A parameter that named one image, to which another was written, and what SSM showed just after.
    fn written(shows: &str) -> Parameters {
        let mut parameters = Parameters::default();
        let names: Vec<_> = names().into_iter().collect();
        parameters.apply(shown("ami-1"));
        parameters.wrote(&names[0], &ImageId::new("ami-2"), true);
        parameters.apply(shown(shows));
        parameters
    }

    /// How many are due so many seconds after SSM showed a value.
    async fn due(shows: &str, seconds: u64) -> usize {
        let parameters = written(shows);
        tokio::time::advance(Duration::from_secs(seconds)).await;
        parameters.due(&names(), AGE).len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_ssm_shows_is_read_again_after_the_interval() {
        assert_eq!([due("ami-2", 5).await, due("ami-2", 599).await, due("ami-2", 600).await], [0, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_read_again_after_a_minute() {
        let mut parameters = Parameters::default();
        parameters.apply(read(&Err(Trouble::new(Class::Transient, "InternalError", "try again"))));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(parameters.due(&names(), AGE).is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(parameters.due(&names(), AGE).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ssm_has_not_taken_yet_is_read_again_after_seconds() {
        assert_eq!([due("ami-1", 4).await, due("ami-1", 5).await], [0, 1]);
    }

    /// Somebody else may have written another value since.
    #[tokio::test(start_paused = true)]
    async fn what_ssm_does_not_show_after_ten_minutes_names_no_image_any_more() {
        let mut parameters = written("ami-1");
        let named = |parameters: &mut Parameters| {
            parameters.apply(shown("ami-1"));
            let known = parameters.known(&names()).into_values().next().and_then(Result::ok).flatten();
            known.and_then(|p| p.written).map(|w| w.image)
        };
        tokio::time::advance(SSM_REWRITE - UNCONFIRMED).await;
        assert_eq!(named(&mut parameters), Some(ImageId::new("ami-2")));
        tokio::time::advance(UNCONFIRMED).await;
        assert_eq!(named(&mut parameters), None);
    }

    #[test]
    fn what_ssm_may_still_come_to_show_is_asked_for_whoever_wants_it() {
        let unshown = |parameters: &Parameters| parameters.unshown().cloned().collect::<BTreeSet<_>>();
        assert_eq!(unshown(&written("ami-1")), names());
        assert_eq!(unshown(&written("ami-2")), BTreeSet::new());
    }

    #[test]
    fn what_was_written_is_not_forgotten_when_a_reading_fails() {
        let mut parameters = written("ami-1");
        parameters.apply(read(&Err(Trouble::new(Class::Throttled, "ThrottlingException", "slow down"))));
        parameters.apply(shown("ami-1"));
        let known = parameters.known(&names()).into_values().next().and_then(Result::ok).flatten();
        assert_eq!(known.and_then(|p| p.written).map(|w| w.image), Some(ImageId::new("ami-2")));
    }
}
