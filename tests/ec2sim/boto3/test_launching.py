"""What a launch answers, and what it refuses besides the image."""

import pytest
from conftest import HERE, refused


def test_instances_launched_together_are_numbered(aws):
    answer = aws.ec2().run_instances(ImageId=aws.image(), MinCount=2, MaxCount=3)
    assert [instance["AmiLaunchIndex"] for instance in answer["Instances"]] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["t3", "t3.huge", "z9.large", "t3.micro.micro"])
def test_a_type_that_there_is_not_is_refused(aws, kind):
    with refused("InvalidParameterValue") as caught:
        aws.launch(aws.image(), InstanceType=kind)
    assert f"Invalid value '{kind}' for InstanceType" in str(caught.value)


@pytest.mark.parametrize("kind", ["t3.nano", "m7i.48xlarge", "c7i-flex.large", "m7i.metal-24xl", "u-6tb1.112xlarge"])
def test_types_of_all_forms_are_known(aws, kind):
    assert aws.launch(aws.image(), InstanceType=kind)["InstanceType"] == kind


def test_an_instance_says_that_its_owner_ended_it(aws):
    ec2 = aws.ec2()
    launched = aws.launch(aws.image())["InstanceId"]
    ec2.terminate_instances(InstanceIds=[launched])
    found = ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]
    assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert found["StateTransitionReason"].startswith("User initiated (")


def test_a_long_client_token_is_accepted_by_copies_alone(aws):
    image = aws.image()
    assert aws.copy(image, ClientToken="t" * 128)
    with refused("InvalidParameterValue"):
        aws.launch(image, ClientToken="t" * 65)


def found(aws, name, value):
    answer = aws.ec2().describe_instances(Filters=[{"Name": name, "Values": [value]}])
    return [instance["InstanceId"] for part in answer["Reservations"] for instance in part["Instances"]]


def test_instances_are_found_by_what_they_say_of_themselves(aws):
    launched = aws.launch(aws.image())
    group = launched["SecurityGroups"][0]
    for name, value in [
        ("availability-zone-id", "use1-az1"),
        ("block-device-mapping.delete-on-termination", "true"),
        ("instance.group-id", group["GroupId"]),
        ("launch-index", "0"),
        ("private-ip-address", launched["PrivateIpAddress"]),
        ("vpc-id", launched["VpcId"]),
    ]:
        assert found(aws, name, value) == [launched["InstanceId"]], name


@pytest.mark.parametrize("name", ["network-interface.network-interface-id", "spot-instance-request-id"])
def test_what_instances_here_never_have_can_be_asked_for(aws, name):
    aws.launch(aws.image())
    assert found(aws, name, "*") == []


def test_a_launch_needs_a_key_pair_that_is_there(aws):
    image = aws.image()
    data = {"ImageId": image, "KeyName": "mine"}
    aws.ec2().create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    launches = [
        lambda: aws.launch(image, KeyName="mine"),
        lambda: aws.ec2().run_instances(
            LaunchTemplate={"LaunchTemplateName": "web"}, MinCount=1, MaxCount=1
        )["Instances"][0],
    ]
    for launch in launches:
        with refused("InvalidKeyPair.NotFound", 400):
            launch()
    aws.ec2().create_key_pair(KeyName="mine")
    assert [launch()["KeyName"] for launch in launches] == ["mine", "mine"]


def device(name, **ebs):
    return {"DeviceName": name, "Ebs": ebs}


@pytest.mark.parametrize(
    "names", [("/dev/sdq", "/dev/sdq"), ("/dev/sdq", "sdq"), ("sdq", "/dev/sdr", "sdq")]
)
def test_a_device_is_used_once(aws, names):
    twice = [device(name, VolumeSize=1) for name in names]
    with refused("InvalidBlockDeviceMapping", 400) as caught:
        aws.launch(aws.image(), BlockDeviceMappings=twice)
    assert "The device 'sdq' is used in more than one block-device mapping" in str(caught.value)


def test_the_root_device_is_not_used_again_under_its_short_name(aws):
    with refused("InvalidBlockDeviceMapping"):
        aws.launch(aws.image(), BlockDeviceMappings=[device("xvda", VolumeSize=9)])


def test_the_call_may_name_a_device_of_the_template_again(aws):
    data = {"ImageId": aws.image(), "BlockDeviceMappings": [device("/dev/sdq", VolumeSize=1)]}
    aws.ec2().create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    mine = [device("/dev/sdq", VolumeSize=2)]
    aws.ec2().run_instances(
        LaunchTemplate={"LaunchTemplateName": "web"}, MinCount=1, MaxCount=1, BlockDeviceMappings=mine
    )
    assert sorted(volume["Size"] for volume in aws.ec2().describe_volumes()["Volumes"]) == [2, 8]


def snapshot(aws, size):
    ec2 = aws.ec2()
    volume = ec2.create_volume(AvailabilityZone=f"{HERE}a", Size=size)["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    aws.pass_time("10m")
    return made


def test_the_snapshot_of_the_root_device_stays(aws):
    image = aws.image()
    with refused("InvalidBlockDeviceMapping", 400) as caught:
        other = device("/dev/xvda", SnapshotId=snapshot(aws, 8))
        aws.launch(image, BlockDeviceMappings=[other])
    assert "snapshotId cannot be modified on root device" in str(caught.value)
    [own] = aws.snapshots(image)
    assert aws.launch(image, BlockDeviceMappings=[device("/dev/xvda", SnapshotId=own)])


def test_a_data_device_can_have_another_snapshot(aws):
    other = snapshot(aws, 5)
    launched = aws.launch(
        aws.image(volumes=2), BlockDeviceMappings=[device("/dev/xvdb", SnapshotId=other)]
    )["InstanceId"]
    query = [{"Name": "attachment.instance-id", "Values": [launched]}]
    volumes = aws.ec2().describe_volumes(Filters=query)["Volumes"]
    assert [volume["Size"] for volume in volumes if volume["SnapshotId"] == other] == [5]
