//! AssumeRole, and how long what it gives out holds.

use crate::client::{Fixture, OTHER, REGION, Reply, world};
use jiff::SignedDuration;
use serde_json::json;

/// Somebody, or a session by its access key, assumes a role of the other account.
fn assume(world: &Fixture, caller: &str, more: &[(&str, &str)]) -> Reply {
    let role = format!("arn:aws:iam::{OTHER}:role/publisher");
    let mut params = vec![("RoleArn", role.as_str()), ("RoleSessionName", "test")];
    params.extend(more);
    world.client_of(caller, REGION).sts("AssumeRole", &params)
}

#[test]
fn credentials_of_a_session_expire_and_each_service_says_so_in_its_own_words() {
    let world = world();
    let key = assume(&world, "somebody", &[("DurationSeconds", "900")]).text("AccessKeyId");
    let client = world.client_of(&key, REGION);
    let codes = || {
        [
            client.ec2("DescribeImages", &[]),
            client.sts("GetCallerIdentity", &[]),
            client.ssm("DescribeParameters", json!({})),
            client.kms("ListKeys", json!({})),
        ]
        .map(|reply| reply.code())
    };
    world.pass(SignedDuration::from_secs(899));
    assert_eq!(codes(), ["OK"; 4]);
    world.pass(SignedDuration::from_secs(1));
    assert_eq!(codes(), ["RequestExpired", "ExpiredToken", "ExpiredTokenException", "ExpiredTokenException"]);
}

#[test]
fn a_session_that_a_session_begins_lasts_an_hour_at_most() {
    let world = world();
    let longer = [("DurationSeconds", "3601")];
    assert_eq!(assume(&world, "somebody", &longer).code(), "OK");
    let first = assume(&world, "somebody", &[]).text("AccessKeyId");
    assert_eq!(assume(&world, &first, &longer).code(), "ValidationError");
    assert_eq!(assume(&world, &first, &[("DurationSeconds", "3600")]).code(), "OK");
}

#[test]
fn an_external_id_has_from_2_to_1224_characters() {
    let world = world();
    let code = |length: usize| assume(&world, "somebody", &[("ExternalId", &"x".repeat(length))]).code();
    assert_eq!([2, 1224].map(code), ["OK"; 2]);
    assert_eq!([1, 1225].map(code), ["ValidationError"; 2]);
}

#[test]
fn a_role_that_is_left_out_is_a_validation_error() {
    let world = world();
    let refused = world.client().sts("AssumeRole", &[("RoleSessionName", "test")]);
    assert_eq!(refused.code(), "ValidationError");
}
