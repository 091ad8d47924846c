//! Lists: pages, selectors, resource versions.

use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::harness::{Cluster, MOMENTS, manifest, refused, version};

async fn five(cluster: &Cluster) {
    for name in ["b", "a", "d", "c", "e"] {
        let mut manifest = manifest(name);
        let tier = if name < "c" { "front" } else { "back" };
        manifest["metadata"]["labels"] = json!({"tier": tier, "name": name});
        cluster.create(&manifest).await.unwrap();
    }
}

fn names<T: ResourceExt>(items: &[T]) -> String {
    items.iter().map(ResourceExt::name_any).collect()
}

pub(crate) async fn a_list_is_ordered_and_carries_the_resource_version(cluster: Cluster) {
    let empty = cluster.images().list(&ListParams::default()).await.unwrap();
    assert!(empty.items.is_empty());
    five(&cluster).await;
    let last = cluster.merge("c", &json!({"spec": {"suspend": true}})).await.unwrap();
    let list = cluster.images().list(&ListParams::default()).await.unwrap();
    assert_eq!(names(&list.items), "abcde");
    let of_list: u64 = list.metadata.resource_version.unwrap().parse().unwrap();
    assert!(of_list >= version(&last).parse().unwrap());
    let everywhere = cluster.raw("/apis/amiops.dev/v1alpha1/machineimages").await.unwrap();
    assert_eq!(
        (everywhere["kind"].as_str(), everywhere["apiVersion"].as_str()),
        (Some("MachineImageList"), Some("amiops.dev/v1alpha1"))
    );
    assert!(everywhere["items"].as_array().unwrap().len() >= 5);
}

pub(crate) async fn a_list_comes_in_pages_of_one_moment(cluster: Cluster) {
    let _held = MOMENTS.read().await;
    five(&cluster).await;
    let params = ListParams::default().limit(2);
    let first = cluster.images().list(&params).await.unwrap();
    assert_eq!(names(&first.items), "ab");
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    // What happens between pages is not seen by them.
    cluster.image("bb").await;
    cluster.images().delete("d", &Default::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = cluster.images().list(&params.clone().continue_token(&token)).await.unwrap();
    assert_eq!(names(&second.items), "cd");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    let token = second.metadata.continue_.clone().unwrap();
    let third = cluster.images().list(&params.clone().continue_token(&token)).await.unwrap();
    assert_eq!(names(&third.items), "e");
    assert_eq!(third.metadata.continue_.unwrap_or_default(), "");
    refused(cluster.images().list(&params.continue_token("odd")).await, 400, "BadRequest", "continue key is not valid");
}

pub(crate) async fn a_list_selects_by_labels_and_fields(cluster: Cluster) {
    five(&cluster).await;
    let list = async |params: ListParams| names(&cluster.images().list(&params).await.unwrap().items);
    assert_eq!(list(ListParams::default().labels("tier=front")).await, "ab");
    assert_eq!(list(ListParams::default().labels("tier!=front")).await, "cde");
    assert_eq!(list(ListParams::default().labels("tier=back,name in (a, c, d)")).await, "cd");
    assert_eq!(list(ListParams::default().labels("name notin (a,c)")).await, "bde");
    assert_eq!(list(ListParams::default().labels("tier,!other")).await, "abcde");
    assert_eq!(list(ListParams::default().fields("metadata.name=c")).await, "c");
    assert_eq!(list(ListParams::default().fields("metadata.name!=c")).await, "abde");
    let paged = cluster.images().list(&ListParams::default().labels("tier=back").limit(2)).await.unwrap();
    assert_eq!(names(&paged.items), "cd");
    assert_eq!(paged.metadata.remaining_item_count, None);
    let unknown = cluster.images().list(&ListParams::default().fields("spec.suspend=true")).await;
    refused(unknown, 400, "BadRequest", "field label not supported: spec.suspend");
}

pub(crate) async fn a_page_of_a_moment_that_was_compacted_is_gone(cluster: Cluster) {
    let _held = MOMENTS.write().await;
    five(&cluster).await;
    let first = cluster.images().list(&ListParams::default().limit(2)).await.unwrap();
    cluster.image("f").await;
    cluster.compact().await;
    let token = first.metadata.continue_.unwrap();
    let page = ListParams::default().limit(2).continue_token(&token);
    let mut next = cluster.images().list(&page).await;
    // The real server answers from its memory until it has seen the compaction.
    for _ in 0..100 {
        if next.is_err() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        next = cluster.images().list(&page).await;
    }
    refused(next, 410, "Expired", "The provided continue parameter is too old to display a consistent list result");
    let version = first.metadata.resource_version.unwrap();
    let exact = ListParams::default().matching(kube::api::VersionMatch::Exact).at(&version);
    refused(cluster.images().list(&exact).await, 410, "Expired", "");
}

pub(crate) async fn a_version_of_the_future_is_refused(cluster: Cluster) {
    let future = ListParams::default().at("99999999999").matching(kube::api::VersionMatch::NotOlderThan);
    refused(cluster.images().list(&future).await, 504, "Timeout", "Too large resource version: 99999999999");
}
