"""Outposts and Local Zones: they are asked for by members that are known, and there are none."""

import pytest
from conftest import HERE, THERE, refused

OUTPOST = "arn:aws:outposts:us-east-1:123456789012:outpost/op-0123456789abcdef0"


@pytest.mark.parametrize(
    "place",
    [
        {"DestinationOutpostArn": OUTPOST},
        {"DestinationAvailabilityZone": "us-east-1-bos-1a"},
        {"DestinationAvailabilityZoneId": "use1-bos1-az1"},
    ],
)
def test_an_image_is_not_copied_to_a_place_that_does_not_exist(aws, place):
    with refused("InvalidParameterValue", 400):
        aws.copy(aws.image(), **place)


def test_an_image_is_copied_to_one_place(aws):
    zone = {"DestinationAvailabilityZone": "us-east-1-bos-1a"}
    with refused("InvalidParameterCombination"):
        aws.copy(aws.image(), DestinationOutpostArn=OUTPOST, **zone)


@pytest.mark.parametrize(
    "place",
    [{"DestinationOutpostArn": OUTPOST}, {"DestinationAvailabilityZone": "us-east-1-bos-1a"}],
)
def test_a_snapshot_is_not_copied_to_a_place_that_does_not_exist(aws, place):
    [snapshot] = aws.snapshots(aws.image())
    source = {"SourceSnapshotId": snapshot, "SourceRegion": HERE}
    with refused("InvalidParameterValue", 400):
        aws.ec2(THERE).copy_snapshot(**source, **place)


def test_nothing_is_made_on_an_outpost_that_does_not_exist(aws):
    ec2 = aws.ec2()
    volume = {"AvailabilityZone": f"{HERE}a", "Size": 8}
    with refused("InvalidParameterValue", 400):
        ec2.create_volume(OutpostArn=OUTPOST, **volume)
    made = ec2.create_volume(**volume)["VolumeId"]
    with refused("InvalidParameterValue", 400):
        ec2.create_snapshot(VolumeId=made, OutpostArn=OUTPOST)
    instance = aws.launch(aws.image())["InstanceId"]
    with refused("InvalidParameterValue", 400):
        ec2.create_snapshots(InstanceSpecification={"InstanceId": instance}, OutpostArn=OUTPOST)
