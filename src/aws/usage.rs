//! Who uses an image? Asked before anything goes. A check that fails leaves the image in use.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    ImageAttributeName, ImageReference, ImageReferenceOptionName, ImageReferenceResourceType, LaunchPermission,
    PermissionGroup, ResourceTypeOption, ResourceTypeRequest,
};

use super::client::Aws;
use super::errors::CallError;
use crate::plan::ids::{ImageId, ParameterName, RegionName};
use crate::plan::{Usage, User};

/// DescribeImageReferences takes this many images at most.
const IMAGES_PER_CALL: usize = 10;

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
    for images in images.chunks(IMAGES_PER_CALL) {
        match references(aws, region, images).await {
            Ok(mut references) => {
                for image in images {
                    let by = references.remove(image).unwrap_or_default();
                    match with_sharing(aws, region, image, by).await {
                        Ok(usage) => drop(answers.usage.insert(image.clone(), usage)),
                        Err(error) => answers.fail(image, &error),
                    }
                }
            }
            Err(error) => images.iter().for_each(|image| answers.fail(image, &error)),
        }
    }
    answers
}

async fn references(
    aws: &Aws,
    region: &RegionName,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Vec<User>>, CallError> {
    let ec2 = &aws.lane(region).ec2;
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

/// An image that others may launch may be in use where it cannot be seen.
async fn with_sharing(aws: &Aws, region: &RegionName, image: &ImageId, mut by: Vec<User>) -> Result<Usage, CallError> {
    let attribute = ImageAttributeName::LaunchPermission;
    let call = aws.lane(region).ec2.describe_image_attribute().image_id(image.as_str()).attribute(attribute).send();
    let attribute = aws.call("DescribeImageAttribute", region, call).await?;
    by.extend(attribute.launch_permissions().iter().map(sharee).map(User::Other));
    Ok(if by.is_empty() { Usage::Unused } else { Usage::Used(by) })
}

fn sharee(permission: &LaunchPermission) -> String {
    let account = permission.user_id().map(|id| format!("account {id}, which it is shared with"));
    let organization = permission.organization_arn().or(permission.organizational_unit_arn());
    account
        .or_else(|| organization.map(|arn| format!("{arn}, which it is shared with")))
        .or_else(|| (permission.group() == Some(&PermissionGroup::All)).then(|| "everybody: it is public".into()))
        .unwrap_or_else(|| "somebody whom it is shared with".into())
}
