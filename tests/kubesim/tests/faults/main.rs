//! Faults, under paused time: what a controller meets, and how it looks from the client.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it does not expect")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use kubesim::{Clock, KubeSim, RequestInfo, Verb, Verdict};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

const IMAGES: &str = "machineimages";

fn sim() -> KubeSim {
    let (begun, epoch) = (Instant::now(), "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap());
    let clock: Clock = Arc::new(move || epoch + begun.elapsed());
    KubeSim::new(clock).unwrap()
}

fn manifest(name: &str) -> Value {
    json!({
        "apiVersion": "amiops.dev/v1alpha1", "kind": "MachineImage", "metadata": {"name": name},
        "spec": {
            "versions": [{"version": "1", "source": {"image": {"region": "us-east-1", "id": "ami-0aa11bb22cc33dd44"}}}],
            "regions": [{"region": "us-east-1"}],
        },
    })
}

fn images(sim: &KubeSim) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("amiops.dev", "v1alpha1", "MachineImage");
    Api::default_namespaced_with(sim.plain_client(), &ApiResource::from_gvk_with_plural(&kind, IMAGES))
}

async fn annotate(sim: &KubeSim, value: &str) -> kube::Result<DynamicObject> {
    let patch = json!({"metadata": {"annotations": {"a": value}}});
    images(sim).patch("web", &PatchParams::default(), &Patch::Merge(&patch)).await
}

fn annotation(sim: &KubeSim) -> Value {
    sim.get(IMAGES, "default", "web").unwrap()["metadata"]["annotations"]["a"].clone()
}

/// A hook that meets the next request with this verb.
fn next(verb: Verb, verdict: Verdict) -> impl FnMut(&RequestInfo) -> Verdict + Send {
    let mut verdict = Some(verdict);
    move |request| if request.verb == verb { verdict.take().unwrap_or(Verdict::Pass) } else { Verdict::Pass }
}

#[tokio::test(start_paused = true)]
async fn a_request_or_its_answer_can_be_lost() {
    let sim = sim();
    sim.create(IMAGES, "default", manifest("web")).unwrap();
    sim.set_hook(next(Verb::Patch, Verdict::DropBefore));
    assert!(matches!(annotate(&sim, "1").await, Err(kube::Error::Service(_))));
    assert_eq!(annotation(&sim), Value::Null);
    sim.set_hook(next(Verb::Patch, Verdict::DropAfterCommit));
    assert!(matches!(annotate(&sim, "2").await, Err(kube::Error::Service(_))));
    assert_eq!(annotation(&sim), "2");
    annotate(&sim, "2").await.unwrap();
    let log: Vec<_> = sim.log().into_iter().map(|logged| (logged.code, logged.changed)).collect();
    assert_eq!(log, [(None, false), (Some(200), true), (Some(200), false)]);
    let request = RequestInfo {
        verb: Verb::Patch,
        resource: IMAGES.into(),
        namespace: "default".into(),
        name: "web".into(),
        subresource: String::new(),
    };
    assert_eq!(sim.writes().into_iter().collect::<Vec<_>>(), [(request, 2)]);
    sim.reset_log();
    assert!(sim.log().is_empty() && sim.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_or_its_answer_can_be_late() {
    let sim = sim();
    sim.create(IMAGES, "default", manifest("web")).unwrap();
    let begun = Instant::now();
    sim.set_hook(next(Verb::Patch, Verdict::Delay(Duration::from_secs(30))));
    let late = tokio::spawn({
        let sim = sim.clone();
        async move { annotate(&sim, "late").await }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    annotate(&sim, "early").await.unwrap();
    assert_eq!(annotation(&sim), "early");
    late.await.unwrap().unwrap();
    assert_eq!((annotation(&sim), begun.elapsed().as_secs()), (json!("late"), 30));
    sim.set_hook(next(Verb::Patch, Verdict::DelayReply(Duration::from_secs(30))));
    assert!(timeout(Duration::from_secs(10), annotate(&sim, "unheard")).await.is_err());
    assert_eq!(annotation(&sim), "unheard");
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_refused() {
    let sim = sim();
    sim.create(IMAGES, "default", manifest("web")).unwrap();
    for code in [403, 409, 429, 500, 503, 504] {
        sim.set_hook(next(Verb::Patch, Verdict::Fail(code)));
        match annotate(&sim, "1").await {
            Err(kube::Error::Api(status)) => assert_eq!(status.code, code),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(annotation(&sim), Value::Null);
    // The client that retries waits as long as it is told to.
    sim.set_hook(next(Verb::List, Verdict::Fail(429)));
    let begun = Instant::now();
    let kind = GroupVersionKind::gvk("amiops.dev", "v1alpha1", "MachineImage");
    let patient: Api<DynamicObject> = Api::all_with(sim.client(), &ApiResource::from_gvk_with_plural(&kind, IMAGES));
    assert_eq!(patient.list(&ListParams::default()).await.unwrap().items.len(), 1);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_read_can_be_stale() {
    let sim = sim();
    let made = sim.create(IMAGES, "default", manifest("web")).unwrap();
    annotate(&sim, "1").await.unwrap();
    annotate(&sim, "2").await.unwrap();
    sim.create(IMAGES, "default", manifest("other")).unwrap();
    sim.set_hook(|_| Verdict::StaleRead(2));
    assert_eq!(images(&sim).get("web").await.unwrap().annotations()["a"], "1");
    let list = images(&sim).list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["web"]);
    let version: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
    assert_eq!(version, sim.revision() - 2);
    sim.set_hook(|_| Verdict::StaleRead(4));
    assert!(images(&sim).get_opt("web").await.unwrap().is_none());
    // No further than the compaction.
    sim.compact();
    assert_eq!(images(&sim).get("web").await.unwrap().annotations()["a"], "2");
    assert_eq!(made["metadata"]["generation"], 1);
}

async fn names(stream: &mut (impl Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Unpin)) -> Option<String> {
    match stream.next().await? {
        Ok(WatchEvent::Added(object)) => Some(object.name_any()),
        Ok(WatchEvent::Error(status)) => Some(status.reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn watches_can_lag_be_cut_and_expire() {
    let sim = sim();
    let watch = async || {
        let params = WatchParams::default().timeout(250).disable_bookmarks();
        Box::pin(images(&sim).watch(&params, &sim.revision().to_string()).await.unwrap())
    };
    let mut stream = watch().await;
    sim.set_watch_lag(Duration::from_secs(20));
    let begun = Instant::now();
    sim.create(IMAGES, "default", manifest("a")).unwrap();
    sim.set_watch_lag(Duration::ZERO);
    sim.create(IMAGES, "default", manifest("b")).unwrap();
    assert_eq!(names(&mut stream).await.unwrap(), "a");
    // No change overtakes another.
    assert_eq!((names(&mut stream).await.unwrap().as_str(), begun.elapsed().as_secs()), ("b", 20));
    sim.cut_watches();
    assert!(names(&mut stream).await.is_none());
    let mut stream = watch().await;
    sim.expire_watches();
    assert_eq!(names(&mut stream).await.unwrap(), "Expired");
    assert!(names(&mut stream).await.is_none());
    let (mut stream, begun) = (watch().await, Instant::now());
    assert!(names(&mut stream).await.is_none());
    assert_eq!(begun.elapsed().as_secs(), 250);
}

#[tokio::test(start_paused = true)]
async fn a_server_can_stop_and_start_again() {
    let sim = sim();
    sim.create(IMAGES, "default", manifest("web")).unwrap();
    let mut stream = pin!(images(&sim).watch(&WatchParams::default(), "0").await.unwrap());
    assert_eq!(names(&mut stream).await.unwrap(), "web");
    sim.stop();
    assert!(names(&mut stream).await.is_none());
    assert!(annotate(&sim, "1").await.is_err());
    sim.start();
    annotate(&sim, "1").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute() {
    let sim = sim();
    let from = sim.revision();
    let mut stream = pin!(images(&sim).watch(&WatchParams::default().timeout(200), &from.to_string()).await.unwrap());
    let begun = Instant::now();
    let mut told = Vec::new();
    sim.ensure_namespace("images");
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            WatchEvent::Bookmark(bookmark) => {
                assert_eq!(bookmark.metadata.resource_version, (from + 1).to_string());
                told.push(begun.elapsed().as_secs());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((told, begun.elapsed().as_secs()), (vec![60, 120, 180, 198], 200));
}

#[tokio::test(start_paused = true)]
async fn events_are_forgotten_after_an_hour() {
    let sim = sim();
    let event = |name: &str| {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name}, "type": "Normal",
            "eventTime": "2026-01-01T00:00:00.000000Z", "reason": "R", "action": "A", "regarding": {"namespace": "default"},
            "reportingController": "amiops", "reportingInstance": "amiops",
        })
    };
    sim.create("events", "default", event("one")).unwrap();
    tokio::time::sleep(Duration::from_secs(1800)).await;
    sim.create("events", "default", event("two")).unwrap();
    tokio::time::sleep(Duration::from_secs(1801)).await;
    sim.create("events", "default", event("three")).unwrap();
    let left: Vec<_> = sim.list("events", "").iter().map(|e| e["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["three", "two"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_requests_have_the_same_answers() {
    let history = async || {
        let sim = sim();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut nameless = manifest("");
            nameless["metadata"] = json!({"generateName": "web-"});
            let object = serde_json::from_value(nameless).unwrap();
            seen.push(images(&sim).create(&PostParams::default(), &object).await.unwrap());
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        seen
    };
    assert_eq!(history().await, history().await);
}

#[tokio::test(start_paused = true)]
async fn what_an_older_schema_let_in_can_be_there() {
    let sim = sim();
    let mut odd = manifest("odd");
    odd["metadata"]["namespace"] = json!("default");
    odd["spec"]["regions"] = json!("everywhere");
    sim.put_unchecked(IMAGES, odd).unwrap();
    assert_eq!(images(&sim).get("odd").await.unwrap().data["spec"]["regions"], "everywhere");
    let patch = json!({"metadata": {"annotations": {"a": "b"}}});
    // What is not touched is not looked at.
    images(&sim).patch("odd", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}
