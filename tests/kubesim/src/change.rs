//! Requests that change an object that is there: PUT, the patches, server-side apply, DELETE.

use std::sync::Arc;

use jiff::Timestamp;
use json_patch::PatchOperation;
use serde_json::{Value, json};

use crate::error::{ApiError, FieldError};
use crate::kinds::{EVENTS, Kind, NAMESPACES};
use crate::managers::{Manager, Managers, not_typed, whole_seconds};
use crate::request::PatchKind;
use crate::store::{Key, Store, Stored};
use crate::write::{Options, decode};

/// What came of a deletion.
pub(crate) enum Deleted {
    /// It is gone.
    Gone(Value),
    /// Finalizers hold it.
    Held(Arc<Stored>),
}

impl Store {
    /// PUT. The answer says whether it made the object.
    pub(crate) fn replace(
        &mut self,
        now: Timestamp,
        key: &Key,
        mut object: Value,
        options: &Options,
    ) -> Result<(bool, Arc<Stored>), ApiError> {
        let of = self.kind(key.kind);
        decode(&of, &mut object, options.strict, true)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name != key.name {
            let message = format!("the name of the object ({name}) does not match the name on the URL ({})", key.name);
            return Err(ApiError::bad_request(message));
        }
        let Some(current) = self.get(key).cloned() else {
            if of.put_creates && !options.status {
                let created = self.admit_new(now, key.kind, &key.namespace, object, None, options)?;
                return Ok((true, created));
            }
            return Err(ApiError::not_found(&of, &key.name));
        };
        let wanted = object["metadata"]["uid"].as_str().unwrap_or_default();
        let found = current.text("uid");
        if !wanted.is_empty() && wanted != found {
            let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
            return Err(ApiError::conflict(&of, &key.name, &why));
        }
        let managers = updated(&of, &current, &object, options, now);
        Ok((false, self.admit_update(key, object, managers, options)?))
    }

    /// PATCH of all kinds. The answer says whether it made the object.
    pub(crate) fn patch(
        &mut self,
        now: Timestamp,
        key: &Key,
        kind: PatchKind,
        patch: &Value,
        force: bool,
        options: &Options,
    ) -> Result<(bool, Arc<Stored>), ApiError> {
        if key.kind == EVENTS {
            self.expire_events(now);
        }
        if kind == PatchKind::Apply {
            return self.apply(now, key, patch, force, options);
        }
        let of = self.kind(key.kind);
        let current = self.get(key).cloned().ok_or_else(|| ApiError::not_found(&of, &key.name))?;
        let mut object = current.object.clone();
        match kind {
            PatchKind::Json => {
                let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                    .map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
                json_patched(&mut object, patch).map_err(|e| ApiError::new(422, "Invalid", e.to_string()))?;
            }
            PatchKind::Merge | PatchKind::Apply => {
                if !patch.is_object() {
                    return Err(ApiError::bad_request("error decoding patch: a merge patch is an object"));
                }
                json_patch::merge(&mut object, patch);
            }
        }
        decode(&of, &mut object, options.strict, true).map_err(|error| not_decoded(error, patch))?;
        same_name(&object, key)?;
        let managers = updated(&of, &current, &object, options, now);
        Ok((false, self.admit_update(key, object, managers, options)?))
    }

    fn apply(
        &mut self,
        now: Timestamp,
        key: &Key,
        patch: &Value,
        force: bool,
        options: &Options,
    ) -> Result<(bool, Arc<Stored>), ApiError> {
        let of = self.kind(key.kind);
        if options.manager.is_empty() {
            let message =
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(ApiError::new(422, "Invalid", message));
        }
        let current = self.get(key).cloned();
        if current.is_none() && options.status {
            return Err(ApiError::not_found(&of, &key.name));
        }
        let expected = of.api_version();
        let given = patch["apiVersion"].as_str().unwrap_or_default();
        if given != expected || patch["kind"] != *of.kind {
            let kind = patch["kind"].as_str().unwrap_or_default();
            let message = format!("invalid object type: {given}, Kind={kind}");
            return Err(ApiError::bad_request(message));
        }
        if !patch["metadata"]["managedFields"].is_null() {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        if let Some(why) = not_typed(patch, &of.schema, "") {
            let message = format!(
                "failed to create typed patch object ({}/{}; {expected}, Kind={}): {why}",
                key.namespace, key.name, of.kind
            );
            return Err(ApiError::new(500, "", message));
        }
        let manager = Manager { name: options.manager.clone(), applies: true, status: options.status };
        let live = current.as_ref().map_or_else(|| json!({}), |current| current.object.clone());
        let mut managers = current.as_ref().map(|current| current.managers.clone()).unwrap_or_default();
        let mut object = managers.apply(&of, manager, &live, patch, force, now)?;
        decode(&of, &mut object, options.strict, false)?;
        let Some(_) = current else {
            if let Some(uid) = object["metadata"]["uid"].as_str() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(ApiError::conflict(&of, &key.name, &why));
            }
            object["metadata"]["name"] = json!(key.name);
            let created = self.admit_new(now, key.kind, &key.namespace, object, Some(managers), options)?;
            return Ok((true, created));
        };
        same_name(&object, key)?;
        Ok((false, self.admit_update(key, object, managers, options)?))
    }

    /// DELETE, with the options of its body.
    pub(crate) fn delete(
        &mut self,
        now: Timestamp,
        key: &Key,
        how: &Value,
        dry_run: bool,
    ) -> Result<Deleted, ApiError> {
        let of = self.kind(key.kind);
        let current = self.get(key).cloned().ok_or_else(|| ApiError::not_found(&of, &key.name))?;
        let wanted = how["propagationPolicy"].as_str();
        if key.kind == NAMESPACES || wanted.is_some_and(|policy| policy != "Background") {
            // They need controllers, of which there are none here.
            return Err(ApiError::new(501, "NotImplemented", "this deletion is not simulated"));
        }
        let wants = &how["preconditions"];
        precondition(&of, &current, "UID", "uid", "deleted and then recreated", &wants["uid"])?;
        let version = &wants["resourceVersion"];
        precondition(&of, &current, "ResourceVersion", "resourceVersion", "modified", version)?;
        let dry_run = dry_run || how["dryRun"].as_array().is_some_and(|all| !all.is_empty());
        if current.finalizers() == 0 {
            if !dry_run {
                self.remove(key);
            }
            return Ok(Deleted::Gone(json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": {"name": key.name, "group": of.group, "kind": of.plural, "uid": current.text("uid")},
            })));
        }
        if current.is_going() {
            return Ok(Deleted::Held(current));
        }
        let mut object = current.object.clone();
        let metadata = &mut object["metadata"];
        metadata["deletionTimestamp"] = json!(whole_seconds(now));
        metadata["deletionGracePeriodSeconds"] = json!(0);
        if let Some(generation) = metadata["generation"].as_i64() {
            metadata["generation"] = json!(generation + 1);
        }
        let managers = current.managers.clone();
        if dry_run {
            return Ok(Deleted::Held(Arc::new(Stored::new(object, managers))));
        }
        Ok(Deleted::Held(self.put(key.clone(), Stored::new(object, managers))))
    }
}

fn updated(kind: &Kind, current: &Stored, object: &Value, options: &Options, now: Timestamp) -> Managers {
    let mut managers = current.managers.clone();
    managers.update(kind, options.updater(), &current.object, object, now);
    managers
}

/// Does the steps of a JSON patch. As for the real server, what is not there passes a test for null.
fn json_patched(object: &mut Value, patch: json_patch::Patch) -> Result<(), json_patch::PatchError> {
    for step in patch.0 {
        match &step {
            PatchOperation::Test(test) if test.value.is_null() && object.pointer(test.path.as_str()).is_none() => {}
            _ => json_patch::patch(object, &[step])?,
        }
    }
    Ok(())
}

/// Of a patch, the real server calls the patch invalid, not what comes of it.
fn not_decoded(error: ApiError, patch: &Value) -> ApiError {
    if error.code != 400 {
        return error;
    }
    let field = FieldError::invalid("patch", &json!(patch.to_string()), error.message);
    ApiError::new(422, "Invalid", format!(" \"\" is invalid: {field}"))
}

fn same_name(object: &Value, key: &Key) -> Result<(), ApiError> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name != key.name {
        let message = format!("the name of the object ({name}) does not match the name on the URL ({})", key.name);
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

/// What who deletes knows of the object must be so.
fn precondition(
    kind: &Kind,
    current: &Stored,
    what: &str,
    field: &str,
    perhaps: &str,
    wanted: &Value,
) -> Result<(), ApiError> {
    let found = current.text(field);
    match wanted.as_str().filter(|wanted| *wanted != found) {
        None => Ok(()),
        Some(wanted) => {
            let name = current.text("name");
            // The real server names the kind here, not the resource.
            let message = format!(
                "Operation cannot be fulfilled on {} \"{name}\": the {what} in the precondition ({wanted}) does not match \
                 the {what} in record ({found}). The object might have been {perhaps}",
                kind.kind_and_group()
            );
            let mut error = ApiError::new(409, "Conflict", message);
            error.details = json!({"name": name, "group": kind.group, "kind": kind.kind});
            Err(error)
        }
    }
}
