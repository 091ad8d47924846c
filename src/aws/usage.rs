//! Who uses an image? Asked before anything goes. A check that fails leaves the image in use.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::{
    ImageAttributeName, ImageReference, ImageReferenceOptionName, ImageReferenceResourceType, LaunchPermission,
    PermissionGroup, ResourceTypeOption, ResourceTypeRequest,
};

use futures::future::join_all;
use tokio::time::Instant;

use super::client::Aws;
use super::errors::CallError;
use crate::plan::ids::{ImageId, ParameterName, RegionName};
use crate::plan::{Usage, User};

/// DescribeImageReferences takes this many images at most.
const IMAGES_PER_CALL: usize = 10;
/// So many images are asked about at once, so that a pass over an object with very many ends in time.
const AT_ONCE: usize = 30;
/// An answer that was not asked for again for so long is forgotten.
const REMEMBERED: Duration = Duration::from_hours(48);

/// What was last answered of images. Nothing goes by this: that nobody uses an image counts only when it is asked just before.
#[derive(Default)]
pub(super) struct Stay(BTreeMap<ImageId, (Usage, Instant)>);

impl Stay {
    /// The images to ask about now: those of which nothing is known first, then those that were asked about the longest ago.
    pub(super) fn whose_turn(&self, images: &[ImageId]) -> Vec<ImageId> {
        let mut images = images.to_vec();
        images.sort_by_key(|image| self.0.get(image).map(|(_, at)| *at));
        images.truncate(AT_ONCE);
        images
    }

    /// Takes in answers.
    pub(super) fn note(&mut self, answers: &BTreeMap<ImageId, Usage>) {
        self.0.retain(|image, (_, at)| !answers.contains_key(image) && at.elapsed() < REMEMBERED);
        self.0.extend(answers.iter().map(|(image, usage)| (image.clone(), (usage.clone(), Instant::now()))));
    }

    /// What was last answered of these images, as far as it keeps them: that they are used, or that the answer could not be had.
    pub(super) fn of(&self, images: &[ImageId]) -> BTreeMap<ImageId, Usage> {
        let of = |image: &ImageId| Some((image.clone(), self.0.get(image)?.0.clone()));
        images.iter().filter_map(of).filter(|(_, usage)| *usage != Usage::Unused).collect()
    }
}

/// Who uses images, and which of them EC2 did not know when it was asked.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) usage: BTreeMap<ImageId, Usage>,
    pub(super) gone: Vec<ImageId>,
}

impl Answers {
    fn fail(&mut self, image: &ImageId, error: &CallError) {
        if error.is_gone() && error.names(image.as_str()) {
            self.gone.push(image.clone());
        }
        self.usage.insert(image.clone(), Usage::Unknown(error.about(image.as_str())));
    }
}

/// Asks who uses the given images: instances, launch templates, parameters and Image Builder recipes of this
/// account (DescribeImageReferences), and accounts that they are shared with, whose use cannot be seen.
pub(super) async fn usage(aws: &Aws, region: &RegionName, images: &[ImageId]) -> Answers {
    let mut answers = Answers::default();
    let mut chunks = images.chunks(IMAGES_PER_CALL);
    while let Some(images) = chunks.next() {
        let mut references = match references(aws, region, images).await {
            Ok(references) => references,
            // The rest is not asked about: the pass waits for each call.
            Err(error) if error.calls_for_a_pause() => {
                images.iter().chain(chunks.flatten()).for_each(|image| answers.fail(image, &error));
                return answers;
            }
            Err(error) => {
                images.iter().for_each(|image| answers.fail(image, &error));
                continue;
            }
        };
        let sharing = images.iter().map(|image| {
            let by = references.remove(image).unwrap_or_default();
            with_sharing(aws, region, image, by)
        });
        for (image, usage) in images.iter().zip(join_all(sharing.collect::<Vec<_>>()).await) {
            match usage {
                Ok(usage) => drop(answers.usage.insert(image.clone(), usage)),
                Err(error) => answers.fail(image, &error),
            }
        }
    }
    answers
}

async fn references(
    aws: &Aws,
    region: &RegionName,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Vec<User>>, CallError> {
    let ec2 = &aws.in_region(region).ec2;
    let mut found = BTreeMap::<_, Vec<User>>::new();
    let mut token = None;
    loop {
        let page = ec2
            .describe_image_references()
            .set_image_ids(Some(images.iter().map(|id| id.to_string()).collect()))
            .include_all_resource_types(true)
            .set_resource_types(Some(whole_depth()));
        let page = aws.call("DescribeImageReferences", region, page.set_next_token(token).send()).await?;
        for reference in page.image_references() {
            let image = ImageId::new(reference.image_id().unwrap_or_default());
            found.entry(image).or_default().push(user(reference));
        }
        token = page.next_token().filter(|t| !t.is_empty()).map(str::to_owned);
        if token.is_none() {
            found.values_mut().for_each(|by| by.sort());
            return Ok(found);
        }
    }
}

/// What a reference stands for. The ARN of a parameter leaves out the slash that its path begins with. A name of one level may
/// have had none, so it cannot be told from the ARN; a person has to look.
fn user(reference: &ImageReference) -> User {
    let arn = reference.arn().unwrap_or("unknown");
    if let Some((_, path)) = arn.split_once(":parameter/").filter(|(_, path)| path.contains('/')) {
        return User::Parameter(ParameterName::new(format!("/{path}")));
    }
    let kind = reference.resource_type().map_or("resource", |t| t.as_str());
    let name = arn.rsplit(['/', ':']).next().unwrap_or(arn);
    User::Other(format!("{kind} {name}"))
}

/// The call looks at the ten newest versions of a launch template and at terminated instances unless told otherwise. An old
/// version can be a group's default, so all count; what is terminated never starts again.
fn whole_depth() -> Vec<ResourceTypeRequest> {
    let request = |kind, name, values: &[&str]| {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let option = ResourceTypeOption::builder().option_name(name).set_option_values(Some(values)).build();
        ResourceTypeRequest::builder().resource_type(kind).resource_type_options(option).build()
    };
    vec![
        request(
            ImageReferenceResourceType::Ec2Instance,
            ImageReferenceOptionName::StateName,
            &["pending", "running", "shutting-down", "stopping", "stopped"],
        ),
        request(ImageReferenceResourceType::Ec2LaunchTemplate, ImageReferenceOptionName::VersionDepth, &["10000"]),
    ]
}

/// An image that others may launch may be in use where it cannot be seen. What is in use anyway need not be asked about.
async fn with_sharing(aws: &Aws, region: &RegionName, image: &ImageId, by: Vec<User>) -> Result<Usage, CallError> {
    if !by.is_empty() {
        return Ok(Usage::Used(by));
    }
    let attribute = ImageAttributeName::LaunchPermission;
    let call =
        aws.in_region(region).ec2.describe_image_attribute().image_id(image.as_str()).attribute(attribute).send();
    let attribute = aws.call("DescribeImageAttribute", region, call).await?;
    let mut sharees: Vec<_> = attribute.launch_permissions().iter().map(sharee).map(User::Other).collect();
    sharees.sort();
    Ok(if sharees.is_empty() { Usage::Unused } else { Usage::Used(sharees) })
}

fn sharee(permission: &LaunchPermission) -> String {
    let account = permission.user_id().map(|id| format!("account {id}, which it is shared with"));
    let organization = permission.organization_arn().or(permission.organizational_unit_arn());
    account
        .or_else(|| organization.map(|arn| format!("{arn}, which it is shared with")))
        .or_else(|| (permission.group() == Some(&PermissionGroup::All)).then(|| "everybody: it is public".into()))
        .unwrap_or_else(|| "somebody whom it is shared with".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> Vec<ImageId> {
        (0..count).map(|number| ImageId::new(format!("ami-{number:03}"))).collect()
    }

    fn answer(images: &[ImageId], usage: &Usage) -> BTreeMap<ImageId, Usage> {
        images.iter().map(|image| (image.clone(), usage.clone())).collect()
    }

    fn used() -> Usage {
        Usage::Used(vec![User::Other("instance i-1".into())])
    }

    #[tokio::test(start_paused = true)]
    async fn of_very_many_images_each_is_asked_about_in_its_turn() {
        let images = images(2 * AT_ONCE + 10);
        let mut stay = Stay::default();
        let mut asked = Vec::new();
        for _ in 0..3 {
            let turn = stay.whose_turn(&images);
            assert_eq!(turn.len(), AT_ONCE);
            stay.note(&answer(&turn, &used()));
            asked.extend(turn);
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        let first_again: Vec<_> = images.iter().chain(&images[..AT_ONCE - 10]).cloned().collect();
        assert_eq!(asked, first_again);
    }

    /// Its deregistration may have been refused.
    #[tokio::test(start_paused = true)]
    async fn an_image_that_nobody_uses_and_that_is_there_all_the_same_gives_way_to_the_others() {
        let images = images(AT_ONCE + 1);
        let mut stay = Stay::default();
        stay.note(&answer(&images[..AT_ONCE], &Usage::Unused));
        assert_eq!(stay.whose_turn(&images)[0], images[AT_ONCE]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_image_whose_turn_it_is_not_is_used_by_what_used_it_last() {
        let images = images(2);
        let mut stay = Stay::default();
        stay.note(&answer(&images, &used()));
        assert_eq!(stay.of(&images), answer(&images, &used()));
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_uses_an_image_is_never_remembered() {
        let images = images(2);
        let mut stay = Stay::default();
        stay.note(&answer(&images, &used()));
        stay.note(&answer(&images[..1], &Usage::Unused));
        assert_eq!(stay.of(&images), answer(&images[1..], &used()));
    }
}
