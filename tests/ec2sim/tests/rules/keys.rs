//! KMS.

use crate::client::{Client, OTHER, world};
use serde_json::{Value, json};

fn key(client: &Client) -> Value {
    client.kms("CreateKey", json!({})).json()["KeyMetadata"]["KeyId"].clone()
}

#[test]
fn a_grant_with_a_name_is_made_once() {
    let world = world();
    let client = world.client();
    let key = key(&client);
    let grant = |name: Option<&str>, operation: &str| {
        let principal = format!("arn:aws:iam::{OTHER}:root");
        let mut input = json!({"KeyId": key, "GranteePrincipal": principal, "Operations": [operation]});
        if let Some(name) = name {
            input["Name"] = json!(name);
        }
        client.kms("CreateGrant", input).json()
    };
    let first = grant(Some("web"), "Decrypt");
    let again = grant(Some("web"), "Decrypt");
    assert_eq!(first["GrantId"], again["GrantId"]);
    assert_ne!(first["GrantToken"], again["GrantToken"]);
    assert_ne!(grant(Some("web"), "Encrypt")["GrantId"], first["GrantId"]);
    assert_ne!(grant(None, "Decrypt")["GrantId"], grant(None, "Decrypt")["GrantId"]);
    assert_eq!(client.kms("ListGrants", json!({"KeyId": key})).json()["Grants"].as_array().unwrap().len(), 4);
}

#[test]
fn a_list_is_refused_a_marker_that_ends_no_page_and_a_limit_outside_its_bounds() {
    let world = world();
    let client = world.client();
    let key = key(&client);
    for (operation, input) in [
        ("ListKeys", json!({})),
        ("ListAliases", json!({})),
        ("ListGrants", json!({"KeyId": key})),
        ("ListKeyPolicies", json!({"KeyId": key})),
    ] {
        let code = |member: &str, value: Value| {
            let mut input = input.clone();
            input[member] = value;
            client.kms(operation, input).code()
        };
        assert_eq!(code("Marker", json!("bogus")), "InvalidMarkerException");
        assert_eq!([0, 1, 1000, 1001].map(|limit| code("Limit", json!(limit)) == "OK"), [false, true, true, false]);
    }
}
