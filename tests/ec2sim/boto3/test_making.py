"""CreateImage: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/creating-an-ami-ebs.html"""

from conftest import HERE, refused, tags


def volumes(aws, instance):
    found = aws.ec2().describe_instances(InstanceIds=[instance])
    devices = found["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    return {device["DeviceName"]: device["Ebs"]["VolumeId"] for device in devices}


def make(aws, instance, name="made", **more):
    return aws.ec2().create_image(InstanceId=instance, Name=name, **more)["ImageId"]


def test_an_image_is_made_of_an_instance(aws):
    source = aws.image(machine={"architecture": "arm64"})
    instance = aws.launch(source)["InstanceId"]
    image = make(aws, instance, Description="made")
    found = aws.describe(image)
    assert found["State"] == "pending"
    assert found["SourceInstanceId"] == instance
    assert found["SourceImageId"] == source
    assert (found["Architecture"], found["Description"]) == ("arm64", "made")
    aws.pass_time("60s")
    assert aws.state(image) == "available"
    assert aws.launch(image)["ImageId"] == image


def test_an_image_of_an_instance_has_a_snapshot_of_each_volume(aws):
    ec2 = aws.ec2()
    instance = aws.launch(aws.image(volumes=2))["InstanceId"]
    extra = ec2.create_volume(AvailabilityZone=f"{HERE}a", Size=7)["VolumeId"]
    ec2.attach_volume(VolumeId=extra, InstanceId=instance, Device="/dev/sdf")
    found = aws.describe(make(aws, instance, NoReboot=True))["BlockDeviceMappings"]
    assert {d["DeviceName"] for d in found} == {"/dev/xvda", "/dev/xvdb", "/dev/sdf"}
    names = [device["Ebs"]["SnapshotId"] for device in found]
    snapshots = ec2.describe_snapshots(SnapshotIds=names)["Snapshots"]
    assert {s["VolumeId"] for s in snapshots} == set(volumes(aws, instance).values())
    assert all(instance in s["Description"] for s in snapshots)


def test_an_image_of_an_instance_leaves_out_devices_and_adds_others(aws):
    instance = aws.launch(aws.image(volumes=2))["InstanceId"]
    devices = [
        {"DeviceName": "/dev/xvdb", "NoDevice": ""},
        {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 3}},
    ]
    found = aws.describe(make(aws, instance, BlockDeviceMappings=devices))
    names = {device["DeviceName"] for device in found["BlockDeviceMappings"]}
    assert names == {"/dev/xvda", "/dev/sdh"}


def test_an_image_of_an_instance_changes_nothing_about_its_volumes(aws):
    instance = aws.launch(aws.image(volumes=2))["InstanceId"]
    [_, snapshot] = aws.snapshots(aws.image(name="other", volumes=2))
    for ebs in [{"Encrypted": True}, {"SnapshotId": snapshot}]:
        with refused("InvalidBlockDeviceMapping", 400):
            make(aws, instance, BlockDeviceMappings=[{"DeviceName": "/dev/xvdb", "Ebs": ebs}])
    with refused("InvalidBlockDeviceMapping") as caught:
        devices = [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}]
        make(aws, instance, BlockDeviceMappings=devices)
    assert "device /dev/xvda has a conflicting encryption setting" in str(caught.value)
    devices[0]["Ebs"] = {"Encrypted": False, "DeleteOnTermination": False}
    assert make(aws, instance, BlockDeviceMappings=devices)


def test_an_image_of_an_instance_names_a_device_once(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    device = {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 3}}
    with refused("InvalidBlockDeviceMapping", 400):
        make(aws, instance, BlockDeviceMappings=[device, device])


def test_an_image_of_an_instance_tags_image_and_snapshots(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    both = [tags("image", team="web"), tags("snapshot", team="disk")]
    image = make(aws, instance, TagSpecifications=both)
    assert aws.describe(image)["Tags"] == [{"Key": "team", "Value": "web"}]
    query = [{"Name": "tag:team", "Values": ["disk"]}]
    assert len(aws.ec2().describe_snapshots(Filters=query)["Snapshots"]) == 1


def test_an_image_of_an_instance_needs_a_free_name(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    make(aws, instance, "golden")
    with refused("InvalidAMIName.Duplicate"):
        make(aws, instance, "golden")


def test_an_image_is_made_of_a_stopped_instance_and_not_of_a_terminated_one(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    aws.ec2().stop_instances(InstanceIds=[instance])
    make(aws, instance, "stopped")
    aws.ec2().terminate_instances(InstanceIds=[instance])
    with refused("IncorrectState"):
        make(aws, instance, "terminated")


def test_an_image_of_what_does_not_exist_is_refused(aws):
    with refused("InvalidInstanceID.NotFound"):
        make(aws, "i-00000000000000000")
    with refused("InvalidInstanceID.Malformed"):
        make(aws, "i-nonsense")


def test_an_image_of_an_encrypted_volume_is_encrypted(aws):
    key = aws.key()
    device = {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "KmsKeyId": key}}
    instance = aws.launch(aws.image(), BlockDeviceMappings=[device])["InstanceId"]
    image = make(aws, instance)
    found = aws.ec2().describe_snapshots(SnapshotIds=aws.snapshots(image))["Snapshots"][0]
    assert (found["Encrypted"], found["KmsKeyId"]) == (True, key)
