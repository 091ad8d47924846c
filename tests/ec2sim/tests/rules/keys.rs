//! KMS.

use crate::client::{ACCOUNT, Client, OTHER, REGION, world};
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

#[test]
fn an_alias_names_a_key_only_where_it_is_described_or_used() {
    let world = world();
    let client = world.client();
    let key = key(&client);
    let code = |operation: &str, input: Value| client.kms(operation, input).code();
    assert_eq!(code("CreateAlias", json!({"AliasName": "alias/web", "TargetKeyId": key})), "OK");
    let arn = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/web");
    for alias in ["alias/web", "alias/none", &arn] {
        for (operation, more) in [
            ("DisableKey", json!({})),
            ("EnableKey", json!({})),
            ("ScheduleKeyDeletion", json!({})),
            ("CancelKeyDeletion", json!({})),
            ("GetKeyPolicy", json!({})),
            ("PutKeyPolicy", json!({"Policy": policy(ACCOUNT, "kms:*")})),
            ("ListKeyPolicies", json!({})),
            ("CreateGrant", json!({"GranteePrincipal": principal(), "Operations": ["Decrypt"]})),
            ("ListGrants", json!({})),
            ("RevokeGrant", json!({"GrantId": "1"})),
            ("ListAliases", json!({})),
        ] {
            let mut input = more;
            input["KeyId"] = json!(alias);
            let refused = client.kms(operation, input);
            assert_eq!(refused.code(), "InvalidArnException", "{operation} {alias}");
            assert_eq!(refused.message(), "Key Aliases are not supported for this operation.");
        }
        for operation in ["CreateAlias", "UpdateAlias"] {
            let refused = client.kms(operation, json!({"AliasName": "alias/web", "TargetKeyId": alias}));
            assert_eq!(refused.code(), "ValidationException", "{operation} {alias}");
            assert_eq!(refused.message(), "Aliases must refer to keys. Not aliases");
        }
    }
    assert_eq!(code("DescribeKey", json!({"KeyId": "alias/web"})), "OK");
}

fn principal() -> String {
    format!("arn:aws:iam::{OTHER}:root")
}

#[test]
fn a_grant_permits_operations_with_keys_to_principals_named_by_arn() {
    let world = world();
    let client = world.client();
    let key = key(&client);
    let grant = |grantee: &str, operation: &str| {
        let input = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Decrypt", operation]});
        client.kms("CreateGrant", input).code()
    };
    assert_eq!(grant(&principal(), "DescribeKey"), "OK");
    // Keys that sign are not simulated.
    for operation in ["Dance", "decrypt", "PutKeyPolicy", "Sign"] {
        assert_eq!(grant(&principal(), operation), "ValidationException", "{operation}");
    }
    for grantee in [OTHER, "reader", "arn:aws:s3:::bucket"] {
        assert_eq!(grant(grantee, "Encrypt"), "InvalidArnException", "{grantee}");
    }
    let retiring =
        json!({"KeyId": key, "GranteePrincipal": principal(), "RetiringPrincipal": "reader", "Operations": []});
    assert_eq!(client.kms("CreateGrant", retiring).code(), "InvalidArnException");
}

/// A policy with one statement: an account may do what the action says.
fn policy(account: &str, action: &str) -> String {
    let principal = format!("arn:aws:iam::{account}:root");
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[test]
fn a_policy_does_not_lock_its_author_out_unless_that_is_meant() {
    let world = world();
    let client = world.client();
    let key = key(&client);
    let put = |policy: &str, bypass: bool| {
        let input = json!({"Policy": policy, "BypassPolicyLockoutSafetyCheck": bypass});
        let created = client.kms("CreateKey", input.clone());
        let mut input = input;
        input["KeyId"] = key.clone();
        let put = client.kms("PutKeyPolicy", input);
        assert_eq!(put.code(), created.code());
        put
    };
    let denied = json!({"Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": ACCOUNT}, "Action": ["kms:Put*"], "Resource": "*"},
    ]})
    .to_string();
    for policy in [policy(OTHER, "kms:*"), policy(ACCOUNT, "kms:Decrypt"), denied] {
        let refused = put(&policy, false);
        assert_eq!(refused.code(), "MalformedPolicyDocumentException");
        assert_eq!(refused.message(), "The new key policy will not allow you to update the key policy in the future.");
        assert_eq!(put(&policy, true).code(), "OK");
    }
    for action in ["kms:*", "*", "kms:PutKeyPolicy", "KMS:put*"] {
        assert_eq!(put(&policy(ACCOUNT, action), false).code(), "OK", "{action}");
    }
}
