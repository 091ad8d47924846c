"""Launching, stopping and terminating."""

import pytest
from conftest import HERE, NO_SUCH_IMAGE, refused, tags


def describe(aws, instance):
    found = aws.ec2().describe_instances(InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]


def state(aws, instance):
    return describe(aws, instance)["State"]["Name"]


def volumes(aws, instance):
    devices = describe(aws, instance)["BlockDeviceMappings"]
    return {device["DeviceName"]: device["Ebs"]["VolumeId"] for device in devices}


def test_a_launch_answers_pending_and_the_instance_then_runs(aws):
    launched = aws.launch(aws.image(), InstanceType="t3.micro")
    assert launched["State"] == {"Code": 0, "Name": "pending"}
    found = describe(aws, launched["InstanceId"])
    assert found["State"] == {"Code": 16, "Name": "running"}
    assert found["InstanceType"] == "t3.micro"


def test_an_instance_can_take_its_time_to_run(aws):
    aws.configure(instanceTime="30s")
    instance = aws.launch(aws.image())["InstanceId"]
    assert state(aws, instance) == "pending"
    aws.pass_time("30s")
    assert state(aws, instance) == "running"


def test_the_waiter_of_boto3_sees_an_instance_run(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    aws.ec2().get_waiter("instance_running").wait(InstanceIds=[instance])


def test_so_many_instances_are_launched_as_asked_for(aws):
    answer = aws.ec2().run_instances(ImageId=aws.image(), MinCount=1, MaxCount=3)
    assert len(answer["Instances"]) == 3
    found = aws.ec2().describe_instances()["Reservations"]
    assert [len(reservation["Instances"]) for reservation in found] == [3]


def test_a_launch_from_what_does_not_exist_is_refused(aws):
    with refused("InvalidAMIID.NotFound", 400):
        aws.launch(NO_SUCH_IMAGE)
    with refused("InvalidAMIID.Malformed"):
        aws.launch("ami-nonsense")


def test_a_launch_needs_an_image(aws):
    with refused("MissingParameter"):
        aws.ec2().run_instances(MinCount=1, MaxCount=1)


def test_a_pending_image_cannot_be_launched(aws):
    copy = aws.copy(aws.image(), region=HERE)
    with refused("InvalidAMIID.Unavailable"):
        aws.launch(copy)


def test_the_same_client_token_launches_once(aws):
    image = aws.image()
    first = aws.launch(image, ClientToken="t-1")
    again = aws.launch(image, ClientToken="t-1")
    assert first["InstanceId"] == again["InstanceId"]
    assert len(aws.ec2().describe_instances()["Reservations"]) == 1
    with refused("IdempotentParameterMismatch"):
        aws.launch(image, ClientToken="t-1", InstanceType="t3.micro")


def test_a_launch_tags_instances_and_volumes(aws):
    both = [tags("instance", team="web"), tags("volume", team="disk")]
    instance = aws.launch(aws.image(), TagSpecifications=both)["InstanceId"]
    assert describe(aws, instance)["Tags"] == [{"Key": "team", "Value": "web"}]
    query = [{"Name": "tag:team", "Values": ["disk"]}]
    assert len(aws.ec2().describe_volumes(Filters=query)["Volumes"]) == 1


def test_a_launch_makes_a_volume_of_each_snapshot(aws):
    image = aws.image(volumes=2, volumeSize=9)
    instance = aws.launch(image)["InstanceId"]
    names = list(volumes(aws, instance).values())
    found = aws.ec2().describe_volumes(VolumeIds=names)["Volumes"]
    assert [(volume["Size"], volume["State"]) for volume in found] == [(9, "in-use")] * 2
    assert {volume["SnapshotId"] for volume in found} == set(aws.snapshots(image))


def test_a_launch_changes_devices(aws):
    devices = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20}},
        {"DeviceName": "/dev/xvdb", "NoDevice": ""},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5}},
    ]
    image = aws.image(volumes=2)
    instance = aws.launch(image, BlockDeviceMappings=devices)["InstanceId"]
    found = volumes(aws, instance)
    assert set(found) == {"/dev/xvda", "/dev/sdf"}
    root = aws.ec2().describe_volumes(VolumeIds=[found["/dev/xvda"]])["Volumes"][0]
    assert root["Size"] == 20


def test_a_root_volume_is_not_smaller_than_its_snapshot(aws):
    device = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}
    with refused("InvalidBlockDeviceMapping"):
        aws.launch(aws.image(), BlockDeviceMappings=[device])


def test_a_launch_from_an_image_with_imds_support_requires_tokens(aws):
    instance = aws.launch(aws.image(machine={"imdsSupport": "v2.0"}))["InstanceId"]
    assert describe(aws, instance)["MetadataOptions"]["HttpTokens"] == "required"


def test_a_launch_is_remembered_by_the_image_a_day_later(aws):
    image = aws.image()
    aws.launch(image)
    assert "LastLaunchedTime" not in aws.describe(image)
    aws.pass_time("24h")
    assert "LastLaunchedTime" in aws.describe(image)


def test_an_instance_whose_key_cannot_be_used_terminates_by_itself(aws):
    key = aws.key()
    image = aws.image(encrypted=True, kmsKeyId=key)
    aws.kms().disable_key(KeyId=key)
    launched = aws.launch(image)
    assert launched["State"]["Name"] == "pending"
    found = describe(aws, launched["InstanceId"])
    assert found["State"]["Name"] == "terminated"
    assert found["StateReason"]["Code"] == "Client.InternalError"


def test_a_shared_encrypted_image_runs_only_where_its_key_can_be_used(aws):
    key = aws.key()
    image = aws.image(encrypted=True, kmsKeyId=key, sharedWith=[aws.other])

    def launch():
        instance = aws.launch(image, account=aws.other)["InstanceId"]
        found = aws.ec2(account=aws.other).describe_instances(InstanceIds=[instance])
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]

    assert launch() == "terminated"
    aws.kms().create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{aws.other}:root",
        Operations=["Decrypt", "CreateGrant"],
    )
    assert launch() == "running"


def test_an_instance_is_stopped_and_started(aws):
    ec2 = aws.ec2()
    instance = aws.launch(aws.image())["InstanceId"]
    change = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert change["PreviousState"]["Name"] == "running"
    assert change["CurrentState"] == {"Code": 64, "Name": "stopping"}
    assert state(aws, instance) == "stopped"
    change = ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]
    assert change["CurrentState"]["Name"] == "pending"
    assert state(aws, instance) == "running"


def test_a_terminated_instance_is_neither_started_nor_stopped(aws):
    ec2 = aws.ec2()
    instance = aws.launch(aws.image())["InstanceId"]
    change = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert change["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    assert state(aws, instance) == "terminated"
    with refused("IncorrectInstanceState"):
        ec2.start_instances(InstanceIds=[instance])
    with refused("IncorrectInstanceState"):
        ec2.stop_instances(InstanceIds=[instance])


def test_terminating_twice_is_no_error(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    aws.ec2().terminate_instances(InstanceIds=[instance])
    aws.ec2().terminate_instances(InstanceIds=[instance])


def test_a_terminated_instance_is_forgotten_after_an_hour(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    aws.ec2().terminate_instances(InstanceIds=[instance])
    aws.pass_time("1h")
    with refused("InvalidInstanceID.NotFound"):
        describe(aws, instance)


def test_terminating_deletes_the_volumes_that_are_to_go(aws):
    ec2 = aws.ec2()
    devices = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "DeleteOnTermination": False}}]
    instance = aws.launch(aws.image(), BlockDeviceMappings=devices)["InstanceId"]
    kept = volumes(aws, instance)["/dev/sdf"]
    ec2.terminate_instances(InstanceIds=[instance])
    found = ec2.describe_volumes()["Volumes"]
    assert [(volume["VolumeId"], volume["State"]) for volume in found] == [(kept, "available")]


def test_an_instance_can_be_protected_from_termination(aws):
    instance = aws.launch(aws.image(), DisableApiTermination=True)["InstanceId"]
    with refused("OperationNotPermitted"):
        aws.ec2().terminate_instances(InstanceIds=[instance])


def test_an_instance_that_does_not_exist_is_not_found(aws):
    missing = "i-00000000000000000"
    with refused("InvalidInstanceID.NotFound"):
        describe(aws, missing)
    with refused("InvalidInstanceID.NotFound"):
        aws.ec2().terminate_instances(InstanceIds=[missing])
    with refused("InvalidInstanceID.Malformed"):
        describe(aws, "i-xyz")


def test_instances_of_others_are_invisible(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    with refused("InvalidInstanceID.NotFound"):
        aws.ec2(account=aws.other).describe_instances(InstanceIds=[instance])


@pytest.mark.parametrize("name", ["image-id", "instance-state-name", "tag:team", "instance-type"])
def test_instances_are_filtered(aws, name):
    image = aws.image()
    more = {"InstanceType": "t3.micro", "TagSpecifications": [tags("instance", team="web")]}
    instance = aws.launch(image, **more)["InstanceId"]
    stopped = aws.launch(aws.image())["InstanceId"]
    aws.ec2().stop_instances(InstanceIds=[stopped])
    values = {
        "image-id": image,
        "instance-state-name": "running",
        "tag:team": "web",
        "instance-type": "t3.micro",
    }
    query = [{"Name": name, "Values": [values[name]]}]
    found = aws.ec2().describe_instances(Filters=query)["Reservations"]
    assert [i["InstanceId"] for r in found for i in r["Instances"]] == [instance]


def test_the_status_checks_of_a_running_instance_are_passed(aws):
    ec2 = aws.ec2()
    instance = aws.launch(aws.image())["InstanceId"]
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance])
    ec2.stop_instances(InstanceIds=[instance])
    assert ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"] == []
    query = {"InstanceIds": [instance], "IncludeAllInstances": True}
    found = ec2.describe_instance_status(**query)["InstanceStatuses"][0]
    assert found["InstanceState"]["Name"] == "stopped"


@pytest.mark.parametrize(
    "name, value",
    [
        ("availability-zone-id", "use1-az2"),
        ("instance-status.reachability", "passed"),
        ("system-status.reachability", "passed"),
        ("attached-ebs-status.status", "ok"),
    ],
)
def test_the_status_of_instances_is_filtered(aws, name, value):
    ec2 = aws.ec2()
    instance = aws.launch(aws.image(), Placement={"AvailabilityZone": f"{HERE}b"})["InstanceId"]
    for values, expected in [([value], [instance]), (["other"], [])]:
        query = {"Filters": [{"Name": name, "Values": values}], "IncludeAllInstances": True}
        found = ec2.describe_instance_status(**query)["InstanceStatuses"]
        assert [status["InstanceId"] for status in found] == expected
    ec2.stop_instances(InstanceIds=[instance])
    [stopped] = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert "Details" not in stopped["SystemStatus"]


@pytest.mark.parametrize(
    "name, value", [("state", "applied"), ("http-endpoint", "enabled"), ("http-tokens", "required")]
)
def test_instances_are_filtered_by_what_they_show_of_the_metadata_service(aws, name, value):
    shows = aws.launch(aws.image(machine={"imdsSupport": "v2.0"}))["InstanceId"]
    aws.launch(aws.image(machine={"imdsSupport": None}))
    query = [{"Name": f"metadata-options.{name}", "Values": [value]}]
    found = aws.ec2().describe_instances(Filters=query)["Reservations"]
    assert [i["InstanceId"] for r in found for i in r["Instances"]] == [shows]


def test_a_type_of_the_other_architecture_is_refused(aws):
    x86 = aws.image(name="x86")
    arm = aws.image(name="arm", machine={"architecture": "arm64"})
    with refused("InvalidParameterValue"):
        aws.launch(x86, InstanceType="t4g.micro")
    with refused("InvalidParameterValue"):
        aws.launch(arm, InstanceType="m7i.large")
    aws.launch(x86, InstanceType="g5.xlarge")
    aws.launch(arm, InstanceType="c7gn.large")


def test_what_does_not_concern_images_is_accepted(aws):
    launched = aws.launch(
        aws.image(),
        IamInstanceProfile={"Name": "web"},
        MetadataOptions={"HttpTokens": "required"},
        Monitoring={"Enabled": True},
        UserData="#!/bin/sh",
        MaintenanceOptions={"AutoRecovery": "default"},
    )
    assert launched["State"]["Name"] == "pending"
