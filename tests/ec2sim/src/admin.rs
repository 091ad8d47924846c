//! The admin endpoint: the methods of [`Sim`] as JSON over HTTP. `README.md` is its reference.

use http::Method;
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::faults::Fault;
use crate::request::Answer;
use crate::sim::Sim;
use crate::world::{Membership, OptIn};

/// Where the endpoint is.
pub(crate) const PREFIX: &str = "/_admin/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    by: SignedDuration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OptInChange {
    region: String,
    account: Option<String>,
    opt_in: OptIn,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MembershipChange {
    account: String,
    organization: Option<String>,
    #[serde(default)]
    units: Vec<String>,
}

/// Answers an administrator.
pub(crate) fn answer(sim: &Sim, method: &Method, path: &str, body: &[u8]) -> Answer {
    let (status, value) = match route(sim, method, path, body) {
        Ok(value) => (200, value),
        Err(error) => (error.status, json!({"error": error.code, "message": error.message})),
    };
    Answer { status, content_type: "application/json", body: value.to_string(), request_id: String::new() }
}

fn route(sim: &Sim, method: &Method, path: &str, body: &[u8]) -> Result<Value, ApiError> {
    match (method.as_str(), path) {
        ("POST", "images") => Ok(json!({"id": sim.seed_image(read(body)?)?})),
        ("POST", "keys") => Ok(json!({"arn": sim.seed_key(read(body)?)?})),
        ("POST", "instances") => Ok(json!({"id": sim.seed_instance(read(body)?)?})),
        ("POST", "launch-templates") => Ok(json!({"id": sim.seed_launch_template(read(body)?)?})),
        ("GET", "time") => Ok(json!({"now": sim.now()})),
        ("POST", "time") => Ok(json!({"now": sim.advance(read::<Advance>(body)?.by)})),
        ("GET", "config") => Ok(json!(sim.config())),
        ("PATCH", "config") => configure(sim, body),
        ("GET", "regions") => Ok(sim.opt_ins().into_iter().map(|(name, opt_in)| (name, json!(opt_in))).collect()),
        ("POST", "regions") => {
            let OptInChange { region, account, opt_in } = read(body)?;
            match account {
                Some(account) => sim.set_account_opt_in(&region, &account, opt_in)?,
                None => sim.set_opt_in(&region, opt_in)?,
            }
            Ok(json!({}))
        }
        ("POST", "retention-rules") => {
            sim.set_retention(read(body)?)?;
            Ok(json!({}))
        }
        ("POST", "memberships") => {
            let change: MembershipChange = read(body)?;
            let (organization, units) = (change.organization, change.units);
            sim.set_membership(&change.account, Membership { organization, units });
            Ok(json!({}))
        }
        ("GET", "faults") => Ok(json!(sim.faults())),
        ("POST", "faults") => Ok(json!({"id": sim.add_fault(read::<Fault>(body)?)})),
        ("DELETE", "faults") => {
            sim.clear_faults();
            Ok(json!({}))
        }
        ("GET", "calls") => Ok(json!(sim.calls())),
        ("GET", "calls/counts") => Ok(json!(sim.call_counts())),
        ("DELETE", "calls") => {
            sim.reset_calls();
            Ok(json!({}))
        }
        ("GET", "dump") => Ok(sim.dump()),
        ("DELETE", other) => clear_fault(sim, other),
        _ => Err(not_found(path)),
    }
}

fn clear_fault(sim: &Sim, path: &str) -> Result<Value, ApiError> {
    let id = path.strip_prefix("faults/").and_then(|id| id.parse().ok()).ok_or_else(|| not_found(path))?;
    if sim.clear_fault(id) { Ok(json!({})) } else { Err(not_found(path)) }
}

/// Changes the settings that are named and leaves the others.
fn configure(sim: &Sim, body: &[u8]) -> Result<Value, ApiError> {
    let changes: Map<String, Value> = read(body)?;
    let mut settings = json!(sim.config());
    if let Value::Object(members) = &mut settings {
        members.extend(changes);
    }
    let config = serde_json::from_value(settings).map_err(|error| ApiError::invalid(error.to_string()))?;
    sim.configure(|current| *current = config);
    Ok(json!(sim.config()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::invalid(error.to_string()))
}

fn not_found(path: &str) -> ApiError {
    ApiError::new("NotFound", format!("There is no {PREFIX}{path} with this method")).with_status(404)
}
