//! The kinds that are served: MachineImages, by the CRD that is shipped, and the built-in ones that a controller needs.

use std::sync::{Arc, LazyLock};

use kube::core::cel::{CompiledSchema, compile_schema};
use serde_json::Value;

use crate::builtin;
use crate::error::FieldError;
use crate::schema::Schema;

const CRD: &str = include_str!("../../../crds/amiops.dev_machineimages.yaml");
const BUILTIN: &str = include_str!("builtin/kinds.yaml");

/// The validation of a kind beyond its schema: the new object, and the old one if it is an update.
pub(crate) type Check = fn(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>);

/// A kind of object.
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    /// Whether `status` is written by its own endpoint only.
    pub(crate) has_status: bool,
    /// Whether it is defined by a CRD: its generation is counted, and its status is not given at creation.
    pub(crate) custom: bool,
    /// Whether a PUT makes what is not there.
    pub(crate) put_creates: bool,
    /// Whether a PUT may leave out the resource version.
    pub(crate) put_unconditionally: bool,
    pub(crate) schema: Schema,
    /// The rules (CEL) of a CRD.
    pub(crate) rules: Option<CompiledSchema>,
    /// The fields at the top that have rules.
    pub(crate) ruled: Vec<String>,
    pub(crate) check: Check,
}

impl Kind {
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// As sentences name it: machineimages.amiops.dev.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(crate) fn kind_and_group(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }
}

/// All kinds; an object's key names its kind by its place here. An error says which schema could not be read.
pub(crate) fn all() -> Result<&'static [Arc<Kind>], String> {
    static KINDS: LazyLock<Result<Vec<Arc<Kind>>, String>> = LazyLock::new(load);
    KINDS.as_deref().map_err(Clone::clone)
}

/// The kind of namespaces, by its place.
pub(crate) const NAMESPACES: usize = 0;
/// The kind of events.
pub(crate) const EVENTS: usize = 2;

fn load() -> Result<Vec<Arc<Kind>>, String> {
    let builtin: Value = serde_saphyr::from_str(BUILTIN).map_err(|e| e.to_string())?;
    let crd: Value = serde_saphyr::from_str(CRD).map_err(|e| e.to_string())?;
    let metadata = Schema::parse(&builtin["metadata"])?;
    let schema = |schema: &Value| {
        let mut schema = Schema::parse(schema)?;
        schema.properties.insert("metadata".into(), metadata.clone());
        Ok::<_, String>(schema)
    };
    let kind = |group: &str, plural: &str, kind: &str, check| {
        Ok::<_, String>(Kind {
            group: group.into(),
            version: "v1".into(),
            plural: plural.into(),
            kind: kind.into(),
            namespaced: true,
            has_status: false,
            custom: false,
            put_creates: true,
            put_unconditionally: false,
            schema: schema(&builtin[kind.to_lowercase()])?,
            rules: None,
            ruled: Vec::new(),
            check,
        })
    };
    let namespace =
        Kind { namespaced: false, put_creates: false, ..kind("", "namespaces", "Namespace", builtin::none)? };
    let lease = kind("coordination.k8s.io", "leases", "Lease", builtin::lease)?;
    let event = Kind { put_unconditionally: true, ..kind("events.k8s.io", "events", "Event", builtin::event)? };
    let custom = custom(&crd, schema)?;
    Ok([namespace, lease, event, custom].map(Arc::new).into())
}

fn custom(crd: &Value, schema: impl Fn(&Value) -> Result<Schema, String>) -> Result<Kind, String> {
    let spec = &crd["spec"];
    let version = &spec["versions"][0];
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("no text: {value}"));
    let mut root = version["schema"]["openAPIV3Schema"].clone();
    // Every custom resource has these, whether its schema says so or not.
    for name in ["apiVersion", "kind"] {
        root["properties"][name] = serde_json::json!({"type": "string"});
    }
    let rules = compile_schema(&root);
    if let Some(error) = rules.compilation_errors().first() {
        return Err(format!("a rule of the CRD: {error}"));
    }
    let fields = root["properties"].as_object().into_iter().flatten();
    let ruled = fields.filter(|(_, schema)| has_rules(schema)).map(|(name, _)| name.clone()).collect();
    Ok(Kind {
        group: text(&spec["group"])?,
        version: text(&version["name"])?,
        plural: text(&spec["names"]["plural"])?,
        kind: text(&spec["names"]["kind"])?,
        namespaced: spec["scope"] == "Namespaced",
        has_status: version["subresources"].get("status").is_some(),
        custom: true,
        put_creates: false,
        put_unconditionally: false,
        schema: schema(&root)?,
        rules: Some(rules),
        ruled,
        check: builtin::none,
    })
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.iter().any(|(name, below)| name == "x-kubernetes-validations" || has_rules(below))
        }
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}
