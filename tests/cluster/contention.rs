//! Somebody else changes the same objects all the time.

use std::time::Duration;

use ec2sim::{Effect, Fault};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinSet;

use amiops::api::{FINALIZER, MachineImage};

use crate::fixtures::aws::copies;
use crate::fixtures::{Binary, Stage, manifest};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// Changes a label of an object again and again, a hundred times a second or so, as long as the answer lives. More would only
/// take the machine away from the tests beside this one.
fn disturb(stage: &Stage, name: &'static str) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for who in ["a", "b", "c"] {
        let objects: Api<MachineImage> = stage.objects.clone();
        tasks.spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_millis(30));
            for number in 0.. {
                beat.tick().await;
                let patch = json!({"metadata": {"labels": {who: format!("n{number}")}}});
                // The object may not be there yet, or no more.
                let _ = objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
            }
        });
    }
    tasks
}

#[tokio::test]
async fn an_object_that_others_change_all_the_time_gets_its_finalizer_its_status_and_its_end() {
    let stage = Stage::new().await;
    stage.seed(&["1.0", "1.1"]);
    let _binary = Binary::start(&stage);
    let _others = disturb(&stage, "web");
    let mut web = manifest("web", &["1.0", "1.1"], &REGIONS);
    web["spec"]["deletionPolicy"] = json!("Delete");
    stage.apply(&web).await;
    let ready = stage.until_ready("web").await;
    assert!(ready.metadata.finalizers.unwrap().iter().any(|f| f == FINALIZER));
    assert_eq!((stage.sim.count("CopyImage"), copies(&stage.sim).len()), (4, 4));

    // Between the beginning of this pass and its end, where the finalizer is taken off, the object changes.
    stage.sim.add_fault(Fault::new(Effect::Delay(300)).operation("DeregisterImage"));
    stage.delete("web").await;
    stage.until_gone("web").await;
    assert_eq!(copies(&stage.sim).len(), 0);
}
