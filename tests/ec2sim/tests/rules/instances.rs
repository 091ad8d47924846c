//! Instances, their volumes, and the security groups around them.

use crate::client::{ACCOUNT, Client, Fixture, Reply, SOURCE_REGION, world};

fn client(world: &Fixture) -> Client {
    world.client_of(ACCOUNT, SOURCE_REGION)
}

fn launch(client: &Client, image: &str, zone: &str, more: &[(&str, &str)]) -> String {
    let mut params =
        vec![("ImageId", image), ("MinCount", "1"), ("MaxCount", "1"), ("Placement.AvailabilityZone", zone)];
    params.extend(more);
    client.ec2("RunInstances", &params).text("instanceId")
}

/// A call of an operation on several instances.
fn act(client: &Client, operation: &str, instances: &[&String]) -> Reply {
    let names: Vec<String> = (1..=instances.len()).map(|number| format!("InstanceId.{number}")).collect();
    let params: Vec<_> = names.iter().map(String::as_str).zip(instances.iter().map(|id| id.as_str())).collect();
    client.ec2(operation, &params)
}

fn state(client: &Client, instance: &String) -> String {
    let found = act(client, "DescribeInstances", &[instance]).text("instanceState");
    found.split("<name>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
}

/// The volume at a device of an instance.
fn volume_at(client: &Client, instance: &str, device: &str) -> String {
    let filters = [
        ("Filter.1.Name", "attachment.instance-id"),
        ("Filter.1.Value.1", instance),
        ("Filter.2.Name", "attachment.device"),
        ("Filter.2.Value.1", device),
    ];
    client.ec2("DescribeVolumes", &filters).text("volumeId")
}

#[test]
fn a_protected_instance_protects_those_that_are_named_beside_it_in_its_zone_alone() {
    let world = world();
    let client = client(&world);
    let image = world.source();
    let (a, b) = ("us-east-1a", "us-east-1b");
    let others = [a, a].map(|zone| launch(&client, &image, zone, &[]));
    let protected = launch(&client, &image, b, &[("DisableApiTermination", "true")]);
    let beside = launch(&client, &image, b, &[]);
    let refused = act(&client, "TerminateInstances", &[&others[0], &protected, &beside, &others[1]]);
    assert_eq!(refused.code(), "OperationNotPermitted");
    assert!(refused.message().starts_with(&format!("The instance '{protected}' may not be terminated.")));
    let states = [&others[0], &others[1], &protected, &beside].map(|instance| state(&client, instance));
    assert_eq!(states, ["terminated", "terminated", "running", "running"]);
}

#[test]
fn nothing_is_terminated_where_one_of_the_instances_does_not_exist() {
    let world = world();
    let client = client(&world);
    let instance = launch(&client, &world.source(), "us-east-1a", &[]);
    let refused = act(&client, "TerminateInstances", &[&instance, &"i-00000000000000000".to_owned()]);
    assert_eq!(refused.code(), "InvalidInstanceID.NotFound");
    assert_eq!(state(&client, &instance), "running");
}

#[test]
fn a_root_volume_is_detached_only_while_its_instance_is_stopped_and_must_be_there_for_it_to_start() {
    let world = world();
    let client = client(&world);
    let instance = launch(&client, &world.source(), "us-east-1a", &[]);
    let root = volume_at(&client, &instance, "/dev/xvda");
    let detach = || client.ec2("DetachVolume", &[("VolumeId", &root), ("Force", "true")]);
    let refused = detach();
    assert_eq!(refused.code(), "OperationNotPermitted");
    assert_eq!(refused.message(), format!("Unable to detach root volume '{root}' from instance '{instance}'"));
    act(&client, "StopInstances", &[&instance]);
    assert_eq!(detach().code(), "OK");
    let refused = act(&client, "StartInstances", &[&instance]);
    assert_eq!(refused.code(), "InvalidParameterValue");
    assert_eq!(
        refused.message(),
        format!(
            "Invalid value '{instance}' for instanceId. Instance does not have a volume attached at root (/dev/xvda)"
        )
    );
    let attach = [("VolumeId", root.as_str()), ("InstanceId", &instance), ("Device", "/dev/xvda")];
    client.ec2("AttachVolume", &attach);
    assert_eq!(act(&client, "StartInstances", &[&instance]).code(), "OK");
    assert_eq!(state(&client, &instance), "running");
}

#[test]
fn the_root_volume_is_not_excluded_from_snapshots_as_a_data_volume() {
    let world = world();
    let client = client(&world);
    let instance = launch(&client, &world.source(), "us-east-1a", &[]);
    let root = volume_at(&client, &instance, "/dev/xvda");
    let excluded = [
        ("InstanceSpecification.InstanceId", instance.as_str()),
        ("InstanceSpecification.ExcludeDataVolumeId.1", &root),
    ];
    assert_eq!(client.ec2("CreateSnapshots", &excluded).code(), "InvalidParameterValue");
}

#[test]
fn a_volume_is_made_in_a_zone_named_by_its_name_or_its_id() {
    let world = world();
    let client = client(&world);
    let create = |zone: &[(&str, &str)]| {
        let mut params = vec![("Size", "1")];
        params.extend(zone);
        client.ec2("CreateVolume", &params)
    };
    let (name, id) = (("AvailabilityZone", "us-east-1b"), ("AvailabilityZoneId", "use1-az2"));
    for zone in [name, id] {
        let made = create(&[zone]);
        assert_eq!((made.text("availabilityZone"), made.text("availabilityZoneId")), (name.1.into(), id.1.into()));
    }
    assert_eq!(create(&[name, id]).code(), "InvalidParameterCombination");
    for id in ["use1-az9", "us-east-1b"] {
        assert_eq!(create(&[("AvailabilityZoneId", id)]).code(), "InvalidZone.NotFound", "{id}");
    }
    assert_eq!(create(&[]).code(), "MissingParameter");
}

#[test]
fn the_name_of_a_security_group_does_not_begin_like_an_id() {
    let world = world();
    let create =
        |name: &str| client(&world).ec2("CreateSecurityGroup", &[("GroupName", name), ("GroupDescription", "d")]);
    let refused = create("sg-web");
    assert_eq!(refused.code(), "InvalidParameterValue");
    assert_eq!(
        refused.message(),
        "Value (sg-web) for parameter GroupName is invalid. Group names may not be in the format sg-*."
    );
    assert_eq!(create("web-sg-1").code(), "OK");
}
