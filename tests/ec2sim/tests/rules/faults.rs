//! Faults and the log of calls.

use crate::client::{ACCOUNT, OTHER, REGION, world};
use ec2sim::{Effect, Fault};

#[test]
fn a_fault_meets_only_the_calls_it_names_and_only_so_often() {
    let world = world();
    let client = world.client();
    world.sim.add_fault(Fault::new(Effect::Throttle).operation("Describe*").region(REGION).skip(1).times(1));
    assert_eq!(client.ec2("DescribeImages", &[]).code(), "OK");
    assert_eq!(world.client_of(ACCOUNT, "us-east-1").ec2("DescribeImages", &[]).code(), "OK");
    let throttled = client.ec2("DescribeImages", &[]);
    assert_eq!((throttled.status, throttled.code().as_str()), (503, "RequestLimitExceeded"));
    assert_eq!(client.ec2("DescribeImages", &[]).code(), "OK");
    assert!(world.sim.faults().is_empty());
}

#[test]
fn a_dropped_request_does_nothing_and_a_dropped_reply_has_done_it() {
    let world = world();
    let source = world.source();
    let client = world.client();
    for (effect, made) in [(Effect::DropRequest, 0), (Effect::DropReply, 1)] {
        world.sim.add_fault(Fault::new(effect).operation("CopyImage").times(1));
        assert_eq!(client.try_copy(&source, "web-1", &[]).status, 0);
        assert_eq!(client.ec2("DescribeImages", &[("Owner.1", "self")]).texts("imageId").len(), made);
    }
}

#[test]
fn what_is_answered_with_an_internal_error_may_have_been_done() {
    let world = world();
    let source = world.source();
    let client = world.client();
    world.sim.add_fault(Fault::new(Effect::InternalError).operation("CopyImage").times(1));
    let answer = client.try_copy(&source, "web-1", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (500, "InternalError"));
    assert_eq!(client.ec2("DescribeImages", &[("Owner.1", "self")]).texts("imageId").len(), 1);
}

#[test]
fn a_fault_may_meet_only_the_calls_that_name_something() {
    let world = world();
    let client = world.client();
    world.sim.add_fault(Fault::new(Effect::Deny).naming("/other/prod"));
    world.sim.add_fault(Fault::new(Effect::Deny).naming("ami-1"));
    let read = |names: &[&str]| client.ssm("GetParameters", serde_json::json!({"Names": names})).code();
    assert_eq!(read(&["/golden/prod", "/other/prod"]), "AccessDeniedException");
    assert_eq!(read(&["/golden/prod"]), "OK");
    assert_eq!(client.ec2("DescribeImages", &[("ImageId.1", "ami-1")]).code(), "UnauthorizedOperation");
}

#[test]
fn a_denied_account_is_refused_until_the_fault_is_cleared() {
    let world = world();
    let fault = world.sim.add_fault(Fault::new(Effect::Deny).account(OTHER));
    let other = world.client_of(OTHER, REGION);
    let denied = other.ec2("DescribeImages", &[]);
    assert_eq!((denied.status, denied.code().as_str()), (403, "UnauthorizedOperation"));
    assert_eq!(other.ssm("DescribeParameters", serde_json::json!({})).code(), "AccessDeniedException");
    assert_eq!(world.client().ec2("DescribeImages", &[]).code(), "OK");
    assert!(world.sim.clear_fault(fault));
    assert_eq!(other.ec2("DescribeImages", &[]).code(), "OK");
}

#[test]
fn a_region_that_is_down_answers_nobody() {
    let world = world();
    world.sim.add_fault(Fault::new(Effect::RegionDown).region(REGION));
    assert_eq!(world.client().ec2("DescribeImages", &[]).status, 0);
    world.sim.clear_faults();
    assert_eq!(world.client().ec2("DescribeImages", &[]).code(), "OK");
}

#[test]
fn calls_are_counted_with_their_outcome() {
    let world = world();
    world.client().ec2("DescribeImages", &[]);
    world.client().ec2("DescribeImages", &[("ImageId.1", "ami-xyz")]);
    assert_eq!(world.sim.count("DescribeImages"), 2);
    let codes: Vec<String> = world.sim.calls().into_iter().map(|call| call.code).collect();
    assert_eq!(codes, ["OK", "InvalidAMIID.Malformed"]);
    world.sim.reset_calls();
    assert!(world.sim.call_counts().is_empty());
}

#[test]
fn the_same_calls_give_the_same_answers() {
    let history = || {
        let world = world();
        let copy = world.client().copy(&world.source(), "web-1");
        (copy, world.sim.dump())
    };
    assert_eq!(history(), history());
}
