"""RegisterImage, from a world that holds nothing: volume, snapshot, image. Then what can be read of the image."""

import re

import pytest
from conftest import refused, tags

ROOT = "/dev/sda1"


def snapshot(aws, size=8):
    ec2 = aws.ec2()
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=size)["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    aws.pass_time("10m")
    return made


def root(snapshot, **ebs):
    return {"DeviceName": ROOT, "Ebs": {"SnapshotId": snapshot, **ebs}}


def register(aws, *devices, **more):
    more = {
        "Name": "web",
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "RootDeviceName": ROOT,
        "BlockDeviceMappings": list(devices) or [root(snapshot(aws), VolumeType="gp3")],
        **more,
    }
    return aws.ec2().register_image(**more)["ImageId"]


def devices(aws, image):
    return {device["DeviceName"]: device for device in aws.describe(image)["BlockDeviceMappings"]}


def test_an_image_says_all_that_its_readers_look_for(aws):
    found = aws.describe(register(aws))
    expected = {
        "Name": "web",
        "State": "available",
        "OwnerId": aws.account,
        "ImageLocation": f"{aws.account}/web",
        "ImageType": "machine",
        "Public": False,
        "Architecture": "x86_64",
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "RootDeviceName": ROOT,
        "RootDeviceType": "ebs",
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "DeregistrationProtection": "disabled",
        "EnaSupport": False,
    }
    assert {key: found.get(key) for key in expected} == expected
    for absent in ["StateReason", "Platform", "DeprecationTime", "SourceImageId", "LastLaunchedTime"]:
        assert absent not in found


def test_the_creation_date_has_whole_seconds(aws):
    date = aws.describe(register(aws))["CreationDate"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", date)


def test_what_is_left_out_has_its_documented_default(aws):
    image = aws.ec2().register_image(
        Name="web", RootDeviceName=ROOT, BlockDeviceMappings=[root(snapshot(aws))]
    )["ImageId"]
    found = aws.describe(image)
    assert (found["Architecture"], found["VirtualizationType"]) == ("i386", "paravirtual")


def test_only_an_image_can_be_tagged(aws):
    with refused("InvalidParameterValue"):
        register(aws, TagSpecifications=[tags("snapshot", team="web")])
    image = register(aws, TagSpecifications=[tags("image", team="web")])
    assert aws.describe(image)["Tags"] == [{"Key": "team", "Value": "web"}]


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_encryption_of_a_snapshot_cannot_be_said(aws, encrypted):
    with refused("InvalidBlockDeviceMapping"):
        register(aws, root(snapshot(aws), Encrypted=encrypted))


def test_a_snapshot_must_be_complete(aws):
    volume = aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    pending = aws.ec2().create_snapshot(VolumeId=volume)["SnapshotId"]
    with refused("IncorrectState"):
        register(aws, root(pending))


def test_a_snapshot_of_another_account_is_not_found(aws):
    own = snapshot(aws)
    with refused("InvalidSnapshot.NotFound"):
        aws.ec2(account=aws.other).register_image(
            Name="web", RootDeviceName=ROOT, BlockDeviceMappings=[root(own)]
        )


def test_a_volume_is_at_least_as_large_as_its_snapshot(aws):
    with refused("InvalidBlockDeviceMapping"):
        register(aws, root(snapshot(aws, size=8), VolumeSize=4))
    image = register(aws, root(snapshot(aws, size=8), VolumeSize=20))
    assert devices(aws, image)[ROOT]["Ebs"]["VolumeSize"] == 20


def test_a_device_is_assigned_once(aws):
    made = snapshot(aws)
    with refused("InvalidBlockDeviceMapping", 400) as caught:
        register(aws, root(made), root(made))
    assert f"{ROOT} is being assigned to multiple times" in str(caught.value)


def test_a_disk_of_the_instance_store_is_a_device_without_a_volume(aws):
    store = {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}
    image = register(aws, root(snapshot(aws)), store)
    assert devices(aws, image)["/dev/sdb"] == store


def test_an_empty_volume_has_its_speed_and_no_snapshot(aws):
    empty = {"DeviceName": "/dev/sdc", "Ebs": {"VolumeSize": 20, "VolumeType": "io1", "Iops": 200}}
    image = register(aws, root(snapshot(aws)), empty)
    found = devices(aws, image)["/dev/sdc"]["Ebs"]
    assert (found["VolumeSize"], found["VolumeType"], found["Iops"]) == (20, "io1", 200)
    assert "SnapshotId" not in found


def test_a_copy_keeps_disks_and_empty_volumes(aws):
    store = {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}
    empty = {"DeviceName": "/dev/sdc", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3"}}
    image = register(aws, root(snapshot(aws)), store, empty)
    copy = aws.copy(image, region="us-east-1")
    aws.pass_time("10m")
    assert devices(aws, copy).keys() == devices(aws, image).keys()
    assert devices(aws, copy)["/dev/sdb"] == store


def test_names_have_letters_numbers_and_some_signs(aws):
    with refused("InvalidAMIName.Malformed"):
        register(aws, Name="web*1")
    assert register(aws, Name="a ([x]) ./-'@_b")


def test_other_accounts_and_regions_have_names_of_their_own(aws):
    image = register(aws)
    assert aws.copy(image, name="web")
    with refused("InvalidAMIName.Duplicate") as caught:
        aws.copy(image, name="web", region="us-east-1")
    assert f"AMI name web is already in use by AMI {image}" in str(caught.value)


def test_an_image_is_not_registered_from_a_bucket(aws):
    with refused("InvalidManifest", 400):
        register(aws, ImageLocation="bucket/image.manifest.xml")


def test_an_account_may_not_give_billing_products(aws):
    with refused("OperationNotPermitted", 400):
        register(aws, BillingProducts=["bp-6ba54002"])


def test_an_account_may_not_give_product_codes(aws):
    image = register(aws)
    with refused("OperationNotPermitted", 400):
        aws.ec2().modify_image_attribute(ImageId=image, ProductCodes=["774F4FF8"])
