"""Volumes: their speed, their zone, and the errors on the way to a snapshot."""

import pytest
from conftest import HERE, refused


def create(aws, **more):
    return aws.ec2().create_volume(AvailabilityZone="us-east-1a", **{"Size": 10, **more})


@pytest.mark.parametrize(
    "kind, size, iops, throughput",
    [("gp2", 10, 100, None), ("gp2", 500, 1500, None), ("gp3", 10, 3000, 125), ("st1", 125, None, None)],
)
def test_a_volume_has_the_speed_of_its_type(aws, kind, size, iops, throughput):
    volume = create(aws, Size=size, VolumeType=kind)
    assert (volume.get("Iops"), volume.get("Throughput")) == (iops, throughput)


def test_the_speed_of_a_gp3_volume_can_be_chosen(aws):
    volume = create(aws, VolumeType="gp3", Iops=4000, Throughput=200)
    found = aws.ec2().describe_volumes(VolumeIds=[volume["VolumeId"]])["Volumes"][0]
    assert (found["Iops"], found["Throughput"]) == (4000, 200)


def test_a_provisioned_volume_needs_its_iops(aws):
    with refused("MissingParameter"):
        create(aws, VolumeType="io1")


def test_a_speed_that_the_type_does_not_have_is_refused(aws):
    with refused("InvalidParameterCombination"):
        create(aws, VolumeType="gp2", Iops=4000)
    with refused("InvalidParameterCombination"):
        create(aws, VolumeType="io2", Iops=4000, Throughput=200)
    with refused("InvalidParameterValue"):
        create(aws, VolumeType="gp3", Iops=100)


def test_the_speed_goes_from_launch_to_image(aws):
    device = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeType": "gp3", "Iops": 4000, "Throughput": 200}}
    launched = aws.launch(aws.image(), BlockDeviceMappings=[device])["InstanceId"]
    image = aws.ec2().create_image(InstanceId=launched, Name="web")["ImageId"]
    ebs = aws.describe(image)["BlockDeviceMappings"][0]["Ebs"]
    assert (ebs["Iops"], ebs["Throughput"]) == (4000, 200)


def test_an_empty_volume_names_no_snapshot(aws):
    assert create(aws)["SnapshotId"] == ""


def test_a_volume_is_attached_only_in_its_zone(aws):
    launched = aws.launch(aws.image(), Placement={"AvailabilityZone": "us-east-1b"})["InstanceId"]
    volume = create(aws)["VolumeId"]
    with refused("InvalidVolume.ZoneMismatch"):
        aws.ec2().attach_volume(VolumeId=volume, InstanceId=launched, Device="/dev/sdf")


def test_a_pending_snapshot_is_neither_restored_nor_copied(aws):
    ec2 = aws.ec2()
    pending = ec2.create_snapshot(VolumeId=create(aws)["VolumeId"])["SnapshotId"]
    with refused("IncorrectState"):
        create(aws, SnapshotId=pending)
    with refused("IncorrectState"):
        ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=pending)


def complete_snapshot(aws):
    made = aws.ec2().create_snapshot(VolumeId=create(aws)["VolumeId"])["SnapshotId"]
    aws.pass_time("10m")
    return made


def test_a_copied_snapshot_whose_key_cannot_be_used_fails_later(aws):
    ec2 = aws.ec2()
    copy = ec2.copy_snapshot(
        SourceRegion="us-east-1",
        SourceSnapshotId=complete_snapshot(aws),
        Encrypted=True,
        KmsKeyId="alias/nobody",
    )["SnapshotId"]
    aws.pass_time("10m")
    found = ec2.describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]
    assert (found["State"], found["StateMessage"]) == ("error", "Given key ID is not accessible")


def test_a_snapshot_copy_takes_a_duration_in_quarters_of_an_hour(aws):
    copy = {"SourceRegion": "us-east-1", "SourceSnapshotId": complete_snapshot(aws)}
    assert aws.ec2().copy_snapshot(CompletionDurationMinutes=30, **copy)
    with refused("InvalidParameterValue"):
        aws.ec2().copy_snapshot(CompletionDurationMinutes=31, **copy)


def test_a_copy_with_a_duration_is_time_based(aws):
    ec2 = aws.ec2()
    copy = {"SourceRegion": "us-east-1", "SourceSnapshotId": complete_snapshot(aws)}
    timed = ec2.copy_snapshot(CompletionDurationMinutes=30, **copy)["SnapshotId"]
    ec2.copy_snapshot(**copy)
    query = [{"Name": "transfer-type", "Values": ["time-based"]}]
    [found] = ec2.describe_snapshots(OwnerIds=["self"], Filters=query)["Snapshots"]
    assert (found["SnapshotId"], found["TransferType"]) == (timed, "time-based")
    assert found["CompletionDurationMinutes"] == 30


def test_snapshots_are_found_by_their_progress(aws):
    done = complete_snapshot(aws)
    aws.ec2().create_snapshot(VolumeId=create(aws)["VolumeId"])
    found = aws.ec2().describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "progress", "Values": ["100%"]}]
    )
    assert [snapshot["SnapshotId"] for snapshot in found["Snapshots"]] == [done]


def test_a_key_needs_encrypted_to_be_true(aws):
    ec2 = aws.ec2()
    key = {"KmsKeyId": aws.key()}
    source = {"SourceRegion": HERE, "SourceSnapshotId": complete_snapshot(aws)}
    device = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, **key}}
    for call in [
        lambda: create(aws, **key),
        lambda: create(aws, Encrypted=False, **key),
        lambda: ec2.copy_snapshot(**source, **key),
        lambda: aws.launch(aws.image(), BlockDeviceMappings=[device]),
    ]:
        with refused("InvalidParameterDependency", 400):
            call()


def gone(aws, volume, account=None):
    with refused("InvalidVolume.NotFound"):
        aws.ec2(account=account).describe_volumes(VolumeIds=[volume["VolumeId"]])


def test_a_volume_whose_key_cannot_be_used_is_gone_after_the_answer(aws):
    key = aws.key(disabled=True)
    for name in [key, "alias/nobody"]:
        made = create(aws, Encrypted=True, KmsKeyId=name)
        assert (made["State"], made["KmsKeyId"]) == ("creating", name)
        gone(aws, made)


def test_the_token_of_a_volume_that_is_gone_is_used_up(aws):
    asked = {"Encrypted": True, "KmsKeyId": "alias/nobody", "ClientToken": "t-1"}
    create(aws, **asked)
    with refused("IdempotentParameterMismatch", 400) as caught:
        create(aws, **asked)
    assert "a resource that is already deleted" in str(caught.value)


def test_a_volume_of_a_shared_snapshot_needs_the_key_of_the_snapshot(aws):
    ec2 = aws.ec2()
    key = aws.key()
    snapshot = ec2.create_snapshot(VolumeId=create(aws, Encrypted=True, KmsKeyId=key)["VolumeId"])
    aws.pass_time("10m")
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot["SnapshotId"], CreateVolumePermission={"Add": [{"UserId": aws.other}]}
    )
    other = aws.ec2(account=aws.other)
    asked = {"AvailabilityZone": f"{HERE}a", "SnapshotId": snapshot["SnapshotId"]}
    gone(aws, other.create_volume(**asked), aws.other)
    grantee = f"arn:aws:iam::{aws.other}:root"
    aws.kms().create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Decrypt", "CreateGrant"])
    made = other.create_volume(**asked)["VolumeId"]
    [found] = other.describe_volumes(VolumeIds=[made])["Volumes"]
    assert (found["State"], found["Encrypted"]) == ("available", True)


BOUNDS = [
    ("gp2", 1, 16384),
    ("gp3", 1, 65536),
    ("io1", 4, 16384),
    ("io2", 4, 65536),
    ("st1", 125, 16384),
    ("sc1", 125, 16384),
    ("standard", 1, 1024),
]


@pytest.mark.parametrize("kind, least, most", BOUNDS)
def test_a_volume_has_a_size_of_its_type(aws, kind, least, most):
    more = {"Iops": 100} if kind.startswith("io") else {}
    for size in [least, most]:
        assert create(aws, VolumeType=kind, Size=size, **more)["Size"] == size
    for size in [least - 1, most + 1]:
        with refused("InvalidParameterValue", 400):
            create(aws, VolumeType=kind, Size=size, **more)


@pytest.mark.parametrize("device", ["/dev/xvda", "/dev/sdf"])
def test_a_launched_volume_has_a_size_of_its_type_too(aws, device):
    ebs = {"VolumeType": "standard", "VolumeSize": 1025}
    with refused("InvalidParameterValue"):
        aws.launch(aws.image(), BlockDeviceMappings=[{"DeviceName": device, "Ebs": ebs}])
