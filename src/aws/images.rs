//! Reading images and snapshots, and turning the SDK's types into the planner's.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    Filter, Image as SdkImage, ImageState as SdkState, Snapshot as SdkSnapshot, SnapshotState, Tag,
};
use jiff::Timestamp;

use super::client::Aws;
use super::errors::CallError;
use crate::plan::ids::{AccountId, ImageId, ImageRef, RegionName, SnapshotId};
use crate::plan::tags::Tags;
use crate::plan::{Class, Image, ImageState, Sight, Snapshot, Trouble, tags};

/// DescribeImages and DescribeSnapshots return this many at most in a page.
const PAGE: i32 = 1000;
/// A filter takes this many values at most.
const FILTER_VALUES: usize = 200;

/// Lists the images of this account that an installation owns, all pages.
pub(super) async fn list(aws: &Aws, region: &RegionName, installation: &str) -> Result<Vec<Image>, Trouble> {
    let filter = owner_filter(installation);
    describe(aws, region, &filter).await.map_err(|e| e.about("the images of amiops"))
}

/// Asks about a few images by id. An id that EC2 does not know is left out of the answer, not an error.
pub(super) async fn find(aws: &Aws, region: &RegionName, ids: &[ImageId]) -> Result<Vec<Image>, CallError> {
    let mut found = Vec::new();
    for ids in ids.chunks(FILTER_VALUES) {
        let ids = ids.iter().map(|id| id.to_string()).collect();
        found.extend(describe(aws, region, &Filter::builder().name("image-id").set_values(Some(ids)).build()).await?);
    }
    Ok(found)
}

/// Finds who holds a name: at most one image of the account in a region.
pub(super) async fn named(aws: &Aws, region: &RegionName, name: &str) -> Result<Option<Image>, CallError> {
    let images = describe(aws, region, &Filter::builder().name("name").values(name).build()).await?;
    // A filter value may hold wildcards; only an exact match counts.
    Ok(images.into_iter().find(|image| image.name == name && image.state != ImageState::Deregistered))
}

/// Finds an image of the account that has a snapshot.
pub(super) async fn with_snapshot(
    aws: &Aws,
    region: &RegionName,
    snapshot: &SnapshotId,
) -> Result<Option<Image>, CallError> {
    let filter = Filter::builder().name("block-device-mapping.snapshot-id").values(snapshot.as_str()).build();
    let images = describe(aws, region, &filter).await?;
    Ok(images.into_iter().find(|image| image.state != ImageState::Deregistered))
}

async fn describe(aws: &Aws, region: &RegionName, filter: &Filter) -> Result<Vec<Image>, CallError> {
    let ec2 = &aws.in_region(region).ec2;
    let mut images = Vec::new();
    let mut token = None;
    loop {
        let page =
            ec2.describe_images().owners("self").include_disabled(true).filters(filter.clone()).max_results(PAGE);
        let page = aws.call("DescribeImages", region, page.set_next_token(token).send()).await?;
        images.extend(page.images().iter().filter_map(image));
        token = page.next_token().filter(|t| !t.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(images);
        }
    }
}

/// Looks up the source of a version, which may belong to another account.
pub(super) async fn source(aws: &Aws, source: &ImageRef) -> Result<Image, Trouble> {
    let ImageRef { region, id } = source;
    let call = aws.in_region(region).ec2.describe_images().image_ids(id.as_str()).include_disabled(true).send();
    let subject = format!("the source {id}");
    let not_found = || source_not_found(source);
    match aws.call("DescribeImages", region, call).await {
        Ok(page) => page.images().iter().filter_map(image).find(|found| found.id == *id).ok_or_else(not_found),
        Err(error) if error.is_gone() => Err(not_found()),
        Err(error) => Err(error.about(&subject)),
    }
}

/// What to say of a source that does not exist, or that we may not see.
pub(super) fn source_not_found(source: &ImageRef) -> Trouble {
    let ImageRef { region, id } = source;
    let message = format!(
        "the source {id} was not found in {region}. To fix: check the id and the region, and that the image is \
         shared with the account of amiops"
    );
    Trouble::new(Class::NeedsPerson, "SourceNotFound", message)
}

/// What to say of a source whose region does not answer.
pub(super) fn source_not_told(source: &ImageRef) -> Trouble {
    let message = format!("the source {source} was asked about, and EC2 did not answer in time. amiops asks again");
    Trouble::new(Class::Transient, "Timeout", message)
}

/// Lists the snapshots that an installation owns, and those that its images have but that lack the tag.
pub(super) async fn snapshots(
    aws: &Aws,
    region: &RegionName,
    installation: &str,
    of_images: Vec<SnapshotId>,
) -> Result<BTreeMap<SnapshotId, Snapshot>, Trouble> {
    let failed = |e: CallError| e.about("the snapshots of amiops");
    let mut found = describe_snapshots(aws, region, &owner_filter(installation)).await.map_err(failed)?;
    let untagged: Vec<_> = of_images.into_iter().filter(|id| !found.contains_key(id)).collect();
    for ids in untagged.chunks(FILTER_VALUES) {
        found.extend(snapshots_by_id(aws, region, ids).await.map_err(failed)?);
    }
    Ok(found)
}

/// Asks about a few snapshots by id; one that EC2 does not know is left out.
pub(super) async fn snapshots_by_id(
    aws: &Aws,
    region: &RegionName,
    ids: &[SnapshotId],
) -> Result<BTreeMap<SnapshotId, Snapshot>, CallError> {
    let ids = ids.iter().map(|id| id.to_string()).collect();
    describe_snapshots(aws, region, &Filter::builder().name("snapshot-id").set_values(Some(ids)).build()).await
}

async fn describe_snapshots(
    aws: &Aws,
    region: &RegionName,
    filter: &Filter,
) -> Result<BTreeMap<SnapshotId, Snapshot>, CallError> {
    let ec2 = &aws.in_region(region).ec2;
    let mut snapshots = BTreeMap::new();
    let mut token = None;
    loop {
        let page = ec2.describe_snapshots().owner_ids("self").filters(filter.clone()).max_results(PAGE);
        let page = aws.call("DescribeSnapshots", region, page.set_next_token(token).send()).await?;
        snapshots.extend(page.snapshots().iter().filter_map(snapshot).map(|s| (s.id.clone(), s)));
        token = page.next_token().filter(|t| !t.is_empty()).map(str::to_owned);
        if token.is_none() {
            return Ok(snapshots);
        }
    }
}

fn owner_filter(installation: &str) -> Filter {
    Filter::builder().name(format!("tag:{}", tags::OWNER)).values(format!("{installation}/*")).build()
}

fn image(image: &SdkImage) -> Option<Image> {
    let made_from = image.source_image_region().zip(image.source_image_id());
    let mappings = image.block_device_mappings().iter();
    Some(Image {
        id: ImageId::new(image.image_id()?),
        name: image.name().unwrap_or_default().to_owned(),
        account: AccountId::new(image.owner_id().unwrap_or_default()),
        state: state(image.state()),
        state_reason: image.state_reason().and_then(|reason| reason.message()).map(str::to_owned),
        created: image.creation_date().and_then(|date| date.parse().ok()),
        made_from: made_from.map(|(region, id)| ImageRef { region: region.into(), id: id.into() }),
        snapshots: mappings.filter_map(|m| m.ebs()?.snapshot_id()).map(SnapshotId::new).collect(),
        tags: read_tags(image.tags()),
        protected: image.deregistration_protection().is_some_and(|p| !p.is_empty() && p != "disabled"),
        sight: Sight::Listed,
    })
}

/// A state that this program does not know is treated like `disabled`: there, but not to be launched or touched.
fn state(state: Option<&SdkState>) -> ImageState {
    match state {
        Some(SdkState::Available) => ImageState::Available,
        Some(SdkState::Pending | SdkState::Transient) => ImageState::Pending,
        Some(SdkState::Failed | SdkState::Error | SdkState::Invalid) => ImageState::Failed,
        Some(SdkState::Deregistered) => ImageState::Deregistered,
        _ => ImageState::Disabled,
    }
}

fn snapshot(snapshot: &SdkSnapshot) -> Option<Snapshot> {
    Some(Snapshot {
        id: SnapshotId::new(snapshot.snapshot_id()?),
        started: snapshot.start_time().and_then(|at| Timestamp::from_second(at.secs()).ok()),
        pending: snapshot.state() == Some(&SnapshotState::Pending),
        tags: read_tags(snapshot.tags()),
    })
}

fn read_tags(tags: &[Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// The planner's tags as the SDK's.
pub(super) fn write_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
