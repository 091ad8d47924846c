//! What people do by hand in AWS, through the same API, by another door.

use aws_config::SdkConfig;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, LaunchPermission, LaunchPermissionModifications, RequestLaunchTemplateData, Tag,
};
use aws_sdk_ssm::types::{ParameterType, ResourceTypeForTagging};

use crate::manifest::{NAMESPACE, OBJECTS, OTHER_ACCOUNT, REGIONS, source_id};
use crate::state::{INSTALLATION, Image, State, Use, owner_of};
use crate::story::ByHand;
use crate::world::World;

/// What is in the names of the copies that people make.
pub(crate) const BY_HAND: &str = "-by-hand-";

/// A date after all others, and an image that does not exist: what somebody writes into the tags by which amiops knows.
pub(crate) const LATER: &str = "2033-03-03T03:03:03Z";
const ORGANIZATION: &str = "arn:aws:organizations::111111111111:organization/o-abcde12345";
/// The version that an image becomes by hand.
pub(crate) const ANOTHER: &str = "9.9";
/// More versions than EC2 looks at without being told to.
const NEWER: usize = 10;
const OWNER: &str = "amiops.dev/owner";
const NOBODYS: &str = "ami-0dead0dead0dead00";
const NOWHERE: &str = "us-east-1/ami-0dead0dead0dead00";

/// Does it, to the image or parameter that `pick` chooses among those that are there. Refusals are part of life, and what seems
/// to have been refused may have been done all the same.
pub(crate) async fn act(world: &World, config: &SdkConfig, what: ByHand, pick: usize) {
    let state = world.state();
    let ours: Vec<_> = state.images.iter().filter(|i| owner_of(&i.tags).is_some()).collect();
    let (region, subject) = match what {
        ByHand::OverwriteParameter | ByHand::DeleteParameter => {
            (parameter(world, config, &state, what, pick).await, None)
        }
        ByHand::GrabParameter => (grab_parameter(world, config, &state, pick).await, None),
        ByHand::LoseSource => (lose_source(world, config, pick).await, None),
        ByHand::UntagSnapshot => (untag_snapshot(world, config, &state, pick).await, None),
        ByHand::DeregisterAll => return deregister_all(world, config, &ours, OBJECTS[pick % OBJECTS.len()]).await,
        _ if ours.is_empty() => return,
        _ => {
            // Who keeps a copy that failed means it, and seldom does anybody.
            let failed = ours.iter().find(|i| i.state == "failed").filter(|_| what == ByHand::Protect);
            let leaving: Vec<_> = ours.iter().filter(|i| what == ByHand::Disown && is_leaving(world, i)).collect();
            let leaving = leaving.get(pick % leaving.len().max(1)).copied();
            let chosen = failed.or(leaving).unwrap_or(&ours[pick % ours.len()]);
            touch(world, &chosen.region, Some(chosen));
            (image(config, &state, chosen, what, pick).await, Some(chosen))
        }
    };
    let Some(region) = region else { return };
    let id = subject.map_or("a parameter", |image| &image.id);
    note(world, what, &region, id, subject.copied());
}

/// Writes down what was done by hand, and where controllers cannot know of it yet.
fn note(world: &World, what: ByHand, region: &str, id: &str, subject: Option<&Image>) {
    let region = region.to_owned();
    world.trace.line(world.elapsed(), "hand", &format!("{what:?} {id} in {region}"));
    let now = world.elapsed();
    if matches!(what, ByHand::Deregister | ByHand::DeregisterAll | ByHand::UntagSnapshot) {
        world.past().snapshots_deleted.insert(region.clone(), now);
    }
    if let Some(image) = subject.filter(|_| matches!(what, ByHand::Disown | ByHand::RemoveTags)) {
        let mut past = world.past();
        let calls = past.calls;
        past.disowned.insert(image.id.clone(), calls);
    }
    touch(world, &region, subject);
}

/// Writes down that somebody has a hand in a region. The answer to what is done there may come late, so before and after.
fn touch(world: &World, region: &str, subject: Option<&Image>) {
    let now = world.elapsed();
    let touched = subject.into_iter().flat_map(|image| image.snapshots.iter().chain([&image.id])).map(String::as_str);
    world.past().by_hand.extend(touched.chain([region]).map(|id| (id.to_owned(), (now, region.to_owned()))));
}

/// Somebody has done with an object, and deregisters its images one by one.
async fn deregister_all(world: &World, config: &SdkConfig, ours: &[&Image], object: &str) {
    for image in ours.iter().filter(|image| owner_of(&image.tags) == Some(object)) {
        touch(world, &image.region, Some(image));
        deregister(config, &image.region, &image.id).await;
        note(world, ByHand::DeregisterAll, &image.region, &image.id, Some(image));
    }
}

/// Whether the version of an image has left the list of its object.
fn is_leaving(world: &World, image: &Image) -> bool {
    let manifest = owner_of(&image.tags).and_then(|object| world.manifest(object));
    manifest.is_some_and(|m| !m.lists(image.version().unwrap_or_default()))
}

/// The SDK's own bucket of retries is shared by the whole process, in which other histories are played.
fn own_retries() -> RetryPartition {
    RetryPartition::custom("by hand").build()
}

fn ec2(config: &SdkConfig, region: &str) -> aws_sdk_ec2::Client {
    let region = aws_sdk_ec2::config::Region::new(region.to_owned());
    let config = aws_sdk_ec2::config::Builder::from(config).region(region).retry_partition(own_retries());
    aws_sdk_ec2::Client::from_conf(config.build())
}

fn ssm(config: &SdkConfig, region: &str) -> aws_sdk_ssm::Client {
    let region = aws_sdk_ssm::config::Region::new(region.to_owned());
    let config = aws_sdk_ssm::config::Builder::from(config).region(region).retry_partition(own_retries());
    aws_sdk_ssm::Client::from_conf(config.build())
}

/// Somebody makes a parameter name an image that is of no version.
pub(crate) async fn overwrite(config: &SdkConfig, region: &str, name: &str) {
    ssm(config, region).put_parameter().name(name).value(NOBODYS).overwrite(true).send().await.ok();
}

/// Somebody launches instances from an image.
pub(crate) async fn launch(config: &SdkConfig, region: &str, id: &str, count: i32) {
    ec2(config, region).run_instances().image_id(id).min_count(count).max_count(count).send().await.ok();
}

/// Somebody registers an image with a snapshot that is there; the answer is its id.
pub(crate) async fn register(config: &SdkConfig, region: &str, snapshot: &str) -> Option<String> {
    let root = "/dev/xvda";
    let disk = EbsBlockDevice::builder().snapshot_id(snapshot).build();
    let mapping = BlockDeviceMapping::builder().device_name(root).ebs(disk).build();
    let call = ec2(config, region).register_image().name(BY_HAND).root_device_name(root).block_device_mappings(mapping);
    call.send().await.ok()?.image_id().map(str::to_owned)
}

/// Somebody deregisters an image.
pub(crate) async fn deregister(config: &SdkConfig, region: &str, id: &str) {
    ec2(config, region).deregister_image().image_id(id).send().await.ok();
}

async fn image(config: &SdkConfig, state: &State, image: &Image, what: ByHand, pick: usize) -> Option<String> {
    let ec2 = ec2(config, &image.region);
    let id = image.id.as_str();
    let is_instance = |u: &&Use| u.region == image.region && u.by.starts_with("i-");
    let instance = || state.uses.iter().find(is_instance).map(|u| &u.by);
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    match what {
        ByHand::ChangeTag => {
            let resource = image.snapshots.first().filter(|_| pick.is_multiple_of(2)).map_or(id, String::as_str);
            let tags = [tag("team", "somebody-else"), tag("note", "by hand")];
            ec2.create_tags().resources(resource).set_tags(Some(tags.into())).send().await.ok();
        }
        ByHand::ChangeDate => {
            ec2.create_tags().resources(id).tags(tag("amiops.dev/released-at", LATER)).send().await.ok();
        }
        ByHand::ChangeSource => {
            ec2.create_tags().resources(id).tags(tag("amiops.dev/source", NOWHERE)).send().await.ok();
        }
        ByHand::RemoveTags => {
            let key = ["team", "amiops.dev/released-at", OWNER, "amiops.dev/adopted"][pick % 4];
            ec2.delete_tags().resources(id).tags(Tag::builder().key(key).build()).send().await.ok();
        }
        ByHand::Disown if pick.is_multiple_of(3) && image.version() != Some(ANOTHER) => {
            ec2.create_tags().resources(id).tags(tag("amiops.dev/version", ANOTHER)).send().await.ok();
        }
        ByHand::Disown if pick.is_multiple_of(2) => {
            let owner = format!("{}/old", image.tags.get(OWNER)?);
            ec2.create_tags().resources(id).tags(tag(OWNER, &owner)).send().await.ok();
        }
        ByHand::Disown => {
            ec2.delete_tags().resources(id).tags(Tag::builder().key(OWNER).build()).send().await.ok();
        }
        ByHand::Deregister => {
            ec2.deregister_image().image_id(id).delete_associated_snapshots(pick.is_multiple_of(2)).send().await.ok();
        }
        ByHand::Launch => {
            let started = ec2.run_instances().image_id(id).min_count(1).max_count(1).send().await.ok()?;
            // A disk that rests needs its image as well.
            let ids = started.instances().iter().filter_map(|i| i.instance_id().map(str::to_owned));
            if pick.is_multiple_of(4) {
                ec2.stop_instances().set_instance_ids(Some(ids.collect())).send().await.ok();
            }
        }
        ByHand::Stop => {
            ec2.stop_instances().instance_ids(instance()?).send().await.ok();
        }
        ByHand::Terminate => {
            ec2.terminate_instances().instance_ids(instance()?).send().await.ok();
        }
        ByHand::MakeTemplate => {
            let data = RequestLaunchTemplateData::builder().image_id(id).build();
            let name = format!("template-{pick}");
            let template = ec2.create_launch_template().launch_template_name(&name).launch_template_data(data);
            template.send().await.ok();
            // A version that is old may still be a group's default.
            for _ in 0..if pick.is_multiple_of(3) { NEWER } else { 0 } {
                let other = RequestLaunchTemplateData::builder().image_id(source_id(OBJECTS[0], 0)).build();
                let newer = ec2.create_launch_template_version().launch_template_name(&name);
                newer.launch_template_data(other).send().await.ok();
            }
        }
        ByHand::CopyWithTags => {
            let to = REGIONS[pick % REGIONS.len()];
            let copy = self::ec2(config, to).copy_image().source_region(&image.region).source_image_id(id);
            copy.name(format!("{}{BY_HAND}{pick}", image.name)).copy_image_tags(true).send().await.ok();
            return Some(to.to_owned());
        }
        ByHand::Protect => {
            ec2.enable_image_deregistration_protection().image_id(id).send().await.ok();
        }
        ByHand::Share => {
            let permission = match pick.is_multiple_of(2) {
                true => LaunchPermission::builder().user_id(OTHER_ACCOUNT).build(),
                false => LaunchPermission::builder().organization_arn(ORGANIZATION).build(),
            };
            let permissions = LaunchPermissionModifications::builder().add(permission).build();
            ec2.modify_image_attribute().image_id(id).launch_permission(permissions).send().await.ok();
        }
        ByHand::Disable => {
            ec2.disable_image().image_id(id).send().await.ok();
        }
        ByHand::OverwriteParameter
        | ByHand::GrabParameter
        | ByHand::DeleteParameter
        | ByHand::LoseSource
        | ByHand::DeregisterAll
        | ByHand::UntagSnapshot => return None,
    }
    Some(image.region.clone())
}

/// The image that was baked for a version goes, or is disabled, while others may still be copied from it.
async fn lose_source(world: &World, config: &SdkConfig, pick: usize) -> Option<String> {
    let id = source_id(OBJECTS[pick % OBJECTS.len()], pick / OBJECTS.len() % crate::manifest::SOURCES);
    let state = world.state();
    let image = state.image(REGIONS[0], &id);
    touch(world, REGIONS[0], image);
    match pick.is_multiple_of(3) {
        true => drop(ec2(config, REGIONS[0]).disable_image().image_id(&id).send().await),
        false => deregister(config, REGIONS[0], &id).await,
    }
    touch(world, REGIONS[0], image);
    Some(REGIONS[0].to_owned())
}

/// A snapshot is taken out of amiops's hands; mostly one that has lost its image, if there is one.
async fn untag_snapshot(world: &World, config: &SdkConfig, state: &State, pick: usize) -> Option<String> {
    let ours: Vec<_> = state.snapshots.iter().filter(|s| owner_of(&s.tags).is_some()).collect();
    let lonely: Vec<_> = ours.iter().copied().filter(|s| state.holder(s).is_none()).collect();
    let among = if lonely.is_empty() || pick.is_multiple_of(4) { ours } else { lonely };
    let chosen = among.get(pick % among.len().max(1))?;
    let tag = Tag::builder().key(OWNER).build();
    let touched = || world.past().by_hand.insert(chosen.id.clone(), (world.elapsed(), chosen.region.clone()));
    touched();
    ec2(config, &chosen.region).delete_tags().resources(&chosen.id).tags(tag).send().await.ok();
    touched();
    Some(chosen.region.clone())
}

/// Somebody makes the parameter of a channel for something else, while the channel waits for its version.
async fn grab_parameter(world: &World, config: &SdkConfig, state: &State, pick: usize) -> Option<String> {
    let mut free = Vec::new();
    for manifest in OBJECTS.into_iter().filter_map(|object| world.manifest(object)) {
        for (region, name) in manifest.regions.keys().flat_map(|r| manifest.channels.keys().map(move |c| (*r, *c))) {
            let name = manifest.published(name);
            let name = name.filter(|name| !state.parameters.iter().any(|p| p.region == region && p.name == *name));
            free.extend(name.map(|name| (region, name)));
        }
    }
    let (region, name) = free.get(pick % free.len().max(1))?;
    touch(world, region, None);
    let made = ssm(config, region).put_parameter().name(name).value("taken").r#type(ParameterType::String);
    made.send().await.ok()?;
    Some((*region).to_owned())
}

async fn parameter(world: &World, config: &SdkConfig, state: &State, what: ByHand, pick: usize) -> Option<String> {
    let parameter = state.parameters.get(pick % state.parameters.len().max(1))?;
    touch(world, &parameter.region, None);
    let ssm = ssm(config, &parameter.region);
    if what == ByHand::DeleteParameter {
        ssm.delete_parameter().name(&parameter.name).send().await.ok();
    } else {
        let baked = source_id(OBJECTS[pick % OBJECTS.len()], pick % crate::manifest::SOURCES);
        let ours = state.images.iter().filter(|i| i.region == parameter.region && owner_of(&i.tags).is_some());
        let ours: Vec<_> = ours.map(|i| i.id.clone()).collect();
        let value = ours.get(pick % ours.len().max(1)).filter(|_| pick % 8 > 3).cloned().unwrap_or(baked);
        let is_typed = pick / OBJECTS.len() % 2 == 1;
        let data_type = if is_typed { "aws:ec2:image" } else { "text" };
        let put = ssm.put_parameter().name(&parameter.name).value(value).data_type(data_type);
        if is_typed == parameter.is_typed {
            put.overwrite(true).send().await.ok();
        } else {
            // The data type of a parameter cannot be changed.
            ssm.delete_parameter().name(&parameter.name).send().await.ok();
            let tags = parameter
                .tags
                .iter()
                .filter_map(|(key, value)| aws_sdk_ssm::types::Tag::builder().key(key).value(value).build().ok());
            put.r#type(ParameterType::String).set_tags(Some(tags.collect())).send().await.ok();
        }
        if pick % 8 == 5 {
            let owner =
                aws_sdk_ssm::types::Tag::builder().key(OWNER).value(format!("{INSTALLATION}/{NAMESPACE}/another"));
            let tag = ssm
                .add_tags_to_resource()
                .resource_type(ResourceTypeForTagging::Parameter)
                .resource_id(&parameter.name);
            tag.tags(owner.build().ok()?).send().await.ok();
        }
    }
    Some(parameter.region.clone())
}
