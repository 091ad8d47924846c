//! The two clusters, and what all behaviours use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, Status};
use kube::{Api, Client, Config, ResourceExt};
use kubesim::KubeSim;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, RwLock};

/// An API server, and a namespace of one's own in it.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// The simulated server, if it is that one.
    pub(crate) sim: Option<KubeSim>,
}

/// The simulated server.
pub(crate) fn simulated(behaviour: &str) -> Cluster {
    let sim = KubeSim::new(Arc::new(jiff::Timestamp::now)).unwrap();
    let namespace = namespace_for(behaviour);
    sim.ensure_namespace(&namespace);
    Cluster { client: sim.plain_client(), namespace, sim: Some(sim) }
}

static WORLD: OnceLock<PathBuf> = OnceLock::new();
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// The real server, which all tests of one run share.
pub(crate) async fn real(behaviour: &str) -> Cluster {
    let world = WORLD.get_or_init(start_world);
    let kubeconfig = Kubeconfig::read_from(world.join("admin.kubeconfig")).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    INSTALLED.get_or_init(|| install_crd(&client)).await;
    let namespace = namespace_for(behaviour);
    let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
    Cluster { client, namespace, sim: None }
}

fn namespace_for(behaviour: &str) -> String {
    let name = behaviour.replace('_', "-");
    name.get(..60).unwrap_or(&name).trim_end_matches('-').to_owned()
}

/// Starts etcd and kube-apiserver, to be stopped when this process ends.
fn start_world() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../env/world");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // What former runs left behind. One that has just ended may still be stopping, and needs its folder for that.
    for former in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let name = former.file_name().into_string().unwrap_or_default();
        let pid = name.strip_prefix("kubesim-world-");
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let down = Command::new(&script).arg("down").arg(former.path()).status();
            if down.is_ok_and(|down| down.success()) {
                let _ = std::fs::remove_dir_all(former.path());
            }
        }
    }
    let pid = std::process::id();
    let world = scratch.join(format!("kubesim-world-{pid}"));
    let up = Command::new(&script).arg("up").arg(&world).arg(pid.to_string()).status();
    assert!(up.unwrap().success(), "the real API server did not start");
    world
}

async fn install_crd(client: &Client) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/amiops.dev_machineimages.yaml");
    let crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let params = PatchParams::apply("conformance").force();
    api.patch("machineimages.amiops.dev", &params, &Patch::Apply(&crd)).await.unwrap();
    // It is served, and what it validates is complete, a little later.
    let images: Api<DynamicObject> = Api::all_with(client.clone(), &machine_images());
    for _ in 0..100 {
        if images.list(&ListParams::default()).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the CRD is not served");
}

pub(crate) fn machine_images() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("amiops.dev", "v1alpha1", "MachineImage"), "machineimages")
}

impl Cluster {
    /// The MachineImages of the namespace.
    pub(crate) fn images(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &machine_images())
    }

    /// Creates a MachineImage.
    pub(crate) async fn image(&self, name: &str) -> DynamicObject {
        self.create(&manifest(name)).await.unwrap()
    }

    pub(crate) async fn create(&self, manifest: &Value) -> kube::Result<DynamicObject> {
        self.images().create(&PostParams::default(), &object(manifest)).await
    }

    pub(crate) async fn merge(&self, name: &str, patch: &Value) -> kube::Result<DynamicObject> {
        self.images().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub(crate) async fn get(&self, name: &str) -> DynamicObject {
        self.images().get(name).await.unwrap()
    }

    /// The raw answer to a GET.
    pub(crate) async fn raw(&self, path: &str) -> kube::Result<Value> {
        self.client.request(http::Request::get(path).body(Vec::new()).unwrap()).await
    }

    /// Forgets what happened until now, as far as that can be brought about.
    pub(crate) async fn compact(&self) {
        match &self.sim {
            Some(sim) => sim.compact(),
            // A watch is served from the server's memory, which holds nothing from before it was started; but the
            // history in etcd does.
            None => compact_etcd(&self.client).await,
        }
    }
}

/// Held while pages of one moment are read, and while a moment is compacted away: the real server is shared.
pub(crate) static MOMENTS: RwLock<()> = RwLock::const_new(());

/// Compacts as the server does itself from time to time: it notes the revision in etcd, and then asks for the compaction.
async fn compact_etcd(client: &Client) {
    let images: Api<DynamicObject> = Api::all_with(client.clone(), &machine_images());
    let revision = images.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    ask_etcd("compaction", &json!({"revision": revision, "physical": true})).await;
    ask_etcd("put", &json!({"key": base64("compact_rev_key"), "value": base64(&revision)})).await;
}

/// etcd answers JSON over HTTP too.
async fn ask_etcd(what: &str, body: &Value) {
    let ports = std::fs::read_to_string(WORLD.get().unwrap().join("ports")).unwrap();
    let port: u16 = ports.split_whitespace().next().unwrap().parse().unwrap();
    let body = body.to_string();
    let mut etcd = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("POST /v3/kv/{what} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    etcd.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    etcd.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of_three = |three: &[u8]| {
        let bits = three.iter().chain([&0, &0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let letter = |n: usize| if n <= three.len() { char::from(LETTERS[bits >> (18 - 6 * n) & 63]) } else { '=' };
        (0..4).map(letter).collect::<String>()
    };
    text.as_bytes().chunks(3).map(of_three).collect()
}

pub(crate) fn object(manifest: &Value) -> DynamicObject {
    serde_json::from_value(manifest.clone()).unwrap()
}

/// The least of a MachineImage.
pub(crate) fn manifest(name: &str) -> Value {
    json!({
        "apiVersion": "amiops.dev/v1alpha1",
        "kind": "MachineImage",
        "metadata": {"name": name},
        "spec": spec(),
    })
}

/// The least of its spec.
pub(crate) fn spec() -> Value {
    json!({
        "versions": [{"version": "1.4.1", "source": {"image": {"region": "us-east-1", "id": "ami-0aa11bb22cc33dd44"}}}],
        "regions": [{"region": "us-east-1"}],
    })
}

/// The refusal of a request.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("this was to be refused: {other:?}"),
    }
}

/// Checks code and reason of a refusal, and what it says.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: kube::Result<T>, code: u16, reason: &str, says: &str) -> Status {
    let status = refusal(result);
    assert_eq!((status.code, status.reason.as_str()), (code, reason), "{}", status.message);
    assert!(status.message.contains(says), "{:?} does not say {says:?}", status.message);
    status
}

pub(crate) fn version(object: &DynamicObject) -> String {
    object.resource_version().unwrap()
}

pub(crate) fn generation(object: &DynamicObject) -> i64 {
    object.metadata.generation.unwrap()
}
