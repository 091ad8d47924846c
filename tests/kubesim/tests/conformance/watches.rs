//! Watches.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{Cluster, MOMENTS, manifest, object, version};

type Event = kube::Result<WatchEvent<DynamicObject>>;

/// The next thing that is told, except bookmarks.
async fn next(stream: &mut (impl Stream<Item = Event> + Unpin)) -> (&'static str, DynamicObject) {
    loop {
        let event = timeout(Duration::from_secs(10), stream.next())
            .await
            .expect("nothing is told")
            .expect("the watch has ended");
        match event.unwrap() {
            WatchEvent::Added(object) => return ("ADDED", object),
            WatchEvent::Modified(object) => return ("MODIFIED", object),
            WatchEvent::Deleted(object) => return ("DELETED", object),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => panic!("{status:?}"),
        }
    }
}

async fn watch(cluster: &Cluster, params: &WatchParams, from: &str) -> impl Stream<Item = Event> + Unpin + use<> {
    Box::pin(cluster.images().watch(params, from).await.unwrap())
}

async fn now(cluster: &Cluster) -> String {
    cluster.images().list(&Default::default()).await.unwrap().metadata.resource_version.unwrap()
}

pub(crate) async fn a_watch_tells_what_happens_in_order(cluster: Cluster) {
    let mut stream = watch(&cluster, &WatchParams::default(), &now(&cluster).await).await;
    let made = cluster.image("web").await;
    let other = cluster.image("other").await;
    let changed = cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    cluster.images().delete("web", &DeleteParams::default()).await.unwrap();
    assert_eq!(next(&mut stream).await, ("ADDED", made));
    assert_eq!(next(&mut stream).await, ("ADDED", other));
    assert_eq!(next(&mut stream).await, ("MODIFIED", changed.clone()));
    let (type_, gone) = next(&mut stream).await;
    assert_eq!((type_, gone.uid()), ("DELETED", changed.uid()));
    assert!(version(&gone).parse::<u64>().unwrap() > version(&changed).parse().unwrap());
    assert_eq!(gone.data, changed.data);
}

pub(crate) async fn a_watch_resumes_from_a_resource_version(cluster: Cluster) {
    let from = now(&cluster).await;
    let made = cluster.image("web").await;
    let changed = cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    let mut stream = watch(&cluster, &WatchParams::default(), &from).await;
    assert_eq!(next(&mut stream).await, ("ADDED", made.clone()));
    assert_eq!(next(&mut stream).await, ("MODIFIED", changed.clone()));
    let mut stream = watch(&cluster, &WatchParams::default(), &version(&made)).await;
    assert_eq!(next(&mut stream).await, ("MODIFIED", changed.clone()));
    let mut stream = watch(&cluster, &WatchParams::default(), &version(&changed)).await;
    cluster.images().delete("web", &DeleteParams::default()).await.unwrap();
    assert_eq!(next(&mut stream).await.0, "DELETED");
}

pub(crate) async fn a_watch_from_nowhere_begins_with_what_is_there(cluster: Cluster) {
    cluster.image("b").await;
    cluster.image("a").await;
    let changed = cluster.merge("b", &json!({"spec": {"suspend": true}})).await.unwrap();
    // The real server answers from a memory that may be a moment old; a list brings it up to date.
    now(&cluster).await;
    let mut stream = watch(&cluster, &WatchParams::default(), "0").await;
    let mut first = [next(&mut stream).await, next(&mut stream).await];
    first.sort_by_key(|(_, object)| object.name_any());
    assert_eq!((first[0].0, first[0].1.name_any().as_str()), ("ADDED", "a"));
    assert_eq!(first[1], ("ADDED", changed));
    cluster.image("c").await;
    assert_eq!(next(&mut stream).await.1.name_any(), "c");
}

pub(crate) async fn a_watch_ends_when_its_time_is_up(cluster: Cluster) {
    let begun = std::time::Instant::now();
    let stream = watch(&cluster, &WatchParams::default().timeout(2).disable_bookmarks(), &now(&cluster).await).await;
    let told = timeout(Duration::from_secs(10), stream.try_collect::<Vec<_>>()).await.unwrap().unwrap();
    assert!(told.is_empty());
    assert!((1.5..5.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

pub(crate) async fn a_watch_that_wants_bookmarks_gets_one_before_its_end(cluster: Cluster) {
    let mut stream = watch(&cluster, &WatchParams::default().timeout(4), &now(&cluster).await).await;
    let made = cluster.image("web").await;
    assert_eq!(next(&mut stream).await.0, "ADDED");
    let rest = timeout(Duration::from_secs(10), stream.try_collect::<Vec<_>>()).await.unwrap().unwrap();
    let bookmark = rest.iter().find_map(|event| match event {
        WatchEvent::Bookmark(bookmark) => Some(bookmark),
        _ => None,
    });
    let bookmark = bookmark.unwrap();
    assert_eq!(bookmark.types.kind, "MachineImage");
    assert!(bookmark.metadata.resource_version.parse::<u64>().unwrap() >= version(&made).parse().unwrap());
}

pub(crate) async fn a_watch_selects_and_tells_of_those_who_leave(cluster: Cluster) {
    let params = WatchParams::default().labels("tier=front");
    let mut stream = watch(&cluster, &params, &now(&cluster).await).await;
    cluster.image("other").await;
    cluster.image("web").await;
    let tier = |tier: &str| json!({"metadata": {"labels": {"tier": tier}}});
    let joined = cluster.merge("web", &tier("front")).await.unwrap();
    let left = cluster.merge("web", &tier("back")).await.unwrap();
    cluster.merge("web", &json!({"spec": {"suspend": true}})).await.unwrap();
    let back = cluster.merge("web", &tier("front")).await.unwrap();
    assert_eq!(next(&mut stream).await, ("ADDED", joined.clone()));
    let (type_, gone) = next(&mut stream).await;
    assert_eq!((type_, gone.labels()["tier"].as_str()), ("DELETED", "front"));
    assert_eq!(version(&gone), version(&left));
    assert_eq!(next(&mut stream).await, ("ADDED", back));
    let named = WatchParams::default().fields("metadata.name=other");
    now(&cluster).await;
    let mut stream = watch(&cluster, &named, "0").await;
    assert_eq!(next(&mut stream).await.1.name_any(), "other");
}

pub(crate) async fn a_watch_of_a_finalized_object_ends_with_its_deletion(cluster: Cluster) {
    let mut held = manifest("web");
    held["metadata"]["finalizers"] = json!(["amiops.dev/retire"]);
    let made = cluster.create(&held).await.unwrap();
    let mut stream = watch(&cluster, &WatchParams::default(), &version(&made)).await;
    let deleted = cluster.images().delete("web", &DeleteParams::default()).await.unwrap().left().unwrap();
    cluster.merge("web", &json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert_eq!(next(&mut stream).await, ("MODIFIED", deleted.clone()));
    let (type_, gone) = next(&mut stream).await;
    assert_eq!((type_, gone.uid()), ("DELETED", deleted.uid()));
    // It is shown as it was stored last.
    assert_eq!(gone.finalizers(), ["amiops.dev/retire"]);
}

pub(crate) async fn a_watch_from_before_the_compaction_is_told_that_it_is_too_old(cluster: Cluster) {
    let _held = MOMENTS.write().await;
    cluster.image("web").await;
    cluster.compact().await;
    let stream = pin!(cluster.images().watch(&WatchParams::default().timeout(5), "1").await.unwrap());
    let told: Vec<_> = timeout(Duration::from_secs(10), stream.collect()).await.unwrap();
    match &told[..] {
        [Ok(WatchEvent::Error(status))] => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"), "{}", status.message);
            assert!(status.message.contains("too old resource version: 1"), "{}", status.message);
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn the_watcher_of_kube_is_served(cluster: Cluster) {
    let _held = MOMENTS.read().await;
    for name in ["a", "b", "c"] {
        cluster.image(name).await;
    }
    let config = watcher::Config::default().page_size(2);
    let mut stream = pin!(watcher(cluster.images(), config).applied_objects());
    let mut names = String::new();
    for _ in 0..3 {
        names += &timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap().name_any();
    }
    assert_eq!(names, "abc");
    cluster.create(&manifest("d")).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap().name_any(), "d");
    assert_eq!(object(&manifest("d")).name_any(), "d");
}

pub(crate) async fn a_list_can_be_streamed(cluster: Cluster) {
    for name in ["b", "a"] {
        cluster.image(name).await;
    }
    let mut stream = pin!(watcher(cluster.images(), watcher::Config::default().streaming_lists()));
    let mut names = BTreeSet::new();
    let mut initial = true;
    // The first state may be a little old; then what it lacks follows.
    while initial || names.len() < 2 {
        match timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap() {
            watcher::Event::Init => {}
            watcher::Event::InitDone => initial = false,
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => _ = names.insert(object.name_any()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    cluster.image("c").await;
    match timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap() {
        watcher::Event::Apply(object) => assert_eq!(object.name_any(), "c"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn metadata_can_be_watched_alone(cluster: Cluster) {
    let from = now(&cluster).await;
    let made = cluster.image("web").await;
    let mut stream = pin!(cluster.images().watch_metadata(&WatchParams::default(), &from).await.unwrap());
    match timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap() {
        WatchEvent::Added(alone) => {
            assert_eq!(alone.metadata, made.metadata);
            assert_eq!(alone.types.unwrap().kind, "PartialObjectMetadata");
        }
        other => panic!("{other:?}"),
    }
}
