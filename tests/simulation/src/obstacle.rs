//! Something stands in the way in a quiet world, and goes again. It holds up what it touches and nothing else, the status tells of
//! it, and what waited for its end is not late.

use std::time::Duration;

use aws_config::SdkConfig;
use ec2sim::{Effect, Fault};
use tokio::time::sleep;

use crate::coherent::entries;
use crate::epilogue::{SOON, now};
use crate::manifest::{LAST, Manifest, OBJECTS, REGIONS};
use crate::story::ByHand;
use crate::world::World;
use crate::{ending, hands};

/// How long it stands there. By then the next try is minutes away.
const STANDS: Duration = Duration::from_mins(40);
/// A region is listed every ten minutes, and no less often while that fails.
const LISTING: Duration = Duration::from_mins(10);

/// What stands in the way of a copy to one region, or is wrong there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Obstacle {
    CopiesFail,
    CopiesAreDenied,
    RegionIsDown,
    TagIsChanged,
}

/// Plays what the number picks; `aws_takes` is what a copy takes.
pub(crate) async fn play(world: &World, by_hand: &SdkConfig, aws_takes: Duration, number: u64) {
    use Obstacle::*;
    let obstacle = [CopiesFail, CopiesAreDenied, RegionIsDown, TagIsChanged][(number % 4) as usize];
    let state = world.state();
    let arrived =
        |m: &Manifest| !m.suspend && ending::lacking(&state, m).is_none() && !ending::excused(&state, &m.with_more());
    let Some(manifest) = OBJECTS.into_iter().filter_map(|object| world.manifest(object)).find(arrived) else { return };
    let Some(region) = manifest.regions.keys().copied().find(|region| *region != REGIONS[0]) else { return };
    if obstacle == TagIsChanged {
        hands::act(world, by_hand, ByHand::ChangeTag, number as usize | 1).await;
        sleep(LISTING + SOON).await;
        return check_arrived(world, &manifest, obstacle);
    }
    let fault = match obstacle {
        CopiesFail => Fault::new(Effect::FailCopy { reason: "the copy broke off".into() }).operation("CopyImage"),
        CopiesAreDenied => Fault::new(Effect::Deny).operation("CopyImage"),
        RegionIsDown | TagIsChanged => Fault::new(Effect::RegionDown).operation("*"),
    };
    let fault = world.aws.add_fault(fault.region(region));
    let more = manifest.with_more();
    world.apply(&more);
    sleep(STANDS.max(SOON + aws_takes)).await;
    check_told(world, &more, region, obstacle);
    world.aws.clear_fault(fault);
    match (obstacle, number / 4 % 2) {
        (RegionIsDown, _) => sleep(LISTING).await,
        (CopiesAreDenied, 0) => world.apply(&Manifest { keep_last: Some(9), ..more.clone() }),
        _ => drop(world.request(more.object)),
    }
    sleep(SOON + aws_takes).await;
    if let Some(now) = world.manifest(more.object) {
        check_arrived(world, &now, obstacle);
    }
}

fn check_arrived(world: &World, manifest: &Manifest, obstacle: Obstacle) {
    if let Some(lacking) = ending::lacking(&world.state(), manifest) {
        world.violation(format!("{obstacle:?} was over in a quiet world, and {} is late: {lacking}", manifest.object));
    }
}

/// Checks that the other regions have what was asked for, and that the status tells what is known of the one.
fn check_told(world: &World, manifest: &Manifest, region: &str, obstacle: Obstacle) {
    let object = manifest.object;
    let state = world.state();
    let version = format!("1.{LAST}");
    let has = |region: &str| state.live(region, object, &version).iter().any(|i| i.state == "available");
    if let Some(other) = manifest.regions.keys().find(|other| **other != region && !has(other)) {
        world.violation(format!("{obstacle:?} in {region} holds up {version} of {object} in {other}"));
    }
    let status = &now(world, object)["status"];
    let wanted = entries(status, "versions").filter(|v| v["version"].as_str().is_some_and(|name| manifest.lists(name)));
    let mut replicas = wanted.flat_map(|v| entries(v, "regions")).filter(|r| r["region"] == region);
    let told = match obstacle {
        Obstacle::RegionIsDown => replicas.all(|replica| replica["error"].is_string()),
        Obstacle::CopiesAreDenied => ending::condition(status, "Stalled").is_some_and(|c| c["status"] == "True"),
        Obstacle::CopiesFail | Obstacle::TagIsChanged => true,
    };
    let here = entries(status, "problems").any(|problem| problem["region"] == region)
        || state.images.iter().any(|image| image.region == region && image.state == "pending");
    if !told || !here {
        world.violation(format!("{object} does not tell that {obstacle:?} in {region}: {status}"));
    }
}
