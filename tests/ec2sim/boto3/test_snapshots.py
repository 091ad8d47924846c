"""Snapshots and volumes: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshots.html"""

from conftest import HERE, THERE, refused, tags

NO_SUCH_SNAPSHOT = "snap-00000000000000000"


def volume(aws, region=HERE, **more):
    more = {"AvailabilityZone": f"{region}a", "Size": 10, **more}
    return aws.ec2(region).create_volume(**more)["VolumeId"]


def snapshot(aws, region=HERE, account=None, **more):
    """A complete snapshot of a new volume."""
    created = aws.ec2(region).create_snapshot(VolumeId=volume(aws, region, **more))
    aws.pass_time("60s")
    return created["SnapshotId"]


def permissions(aws, name):
    answer = aws.ec2().describe_snapshot_attribute(
        SnapshotId=name, Attribute="createVolumePermission"
    )
    return answer["CreateVolumePermissions"]


def share(aws, name, **changes):
    aws.ec2().modify_snapshot_attribute(SnapshotId=name, CreateVolumePermission=changes)


def found(aws, account=None, region=HERE, **query):
    answer = aws.ec2(region, account).describe_snapshots(**query)
    return [entry["SnapshotId"] for entry in answer["Snapshots"]]


def test_a_volume_is_created_and_available(aws):
    created = aws.ec2().create_volume(AvailabilityZone=f"{HERE}b", Size=10, VolumeType="gp3")
    assert created["State"] == "creating"
    volumes = aws.ec2().describe_volumes(VolumeIds=[created["VolumeId"]])["Volumes"]
    assert (volumes[0]["State"], volumes[0]["Size"]) == ("available", 10)
    assert (volumes[0]["VolumeType"], volumes[0]["Encrypted"]) == ("gp3", False)


def test_a_volume_needs_a_size_or_a_snapshot(aws):
    with refused("MissingParameter"):
        aws.ec2().create_volume(AvailabilityZone=f"{HERE}a")


def test_a_volume_takes_the_size_of_its_snapshot(aws):
    source = snapshot(aws, Size=12)
    made = aws.ec2().create_volume(AvailabilityZone=f"{HERE}a", SnapshotId=source)
    assert (made["Size"], made["SnapshotId"]) == (12, source)


def test_a_volume_is_not_smaller_than_its_snapshot(aws):
    source = snapshot(aws, Size=12)
    with refused("InvalidParameterValue"):
        volume(aws, SnapshotId=source, Size=11)


def test_a_zone_that_does_not_exist_is_refused(aws):
    with refused("InvalidZone.NotFound"):
        volume(aws, AvailabilityZone="us-east-1z")


def test_a_volume_is_deleted(aws):
    name = volume(aws)
    aws.ec2().delete_volume(VolumeId=name)
    with refused("InvalidVolume.NotFound"):
        aws.ec2().describe_volumes(VolumeIds=[name])


def test_a_volume_in_use_is_not_deleted(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    name = volume(aws)
    ec2 = aws.ec2()
    ec2.attach_volume(VolumeId=name, InstanceId=instance, Device="/dev/sdf")
    with refused("VolumeInUse"):
        ec2.delete_volume(VolumeId=name)
    ec2.detach_volume(VolumeId=name)
    ec2.delete_volume(VolumeId=name)


def test_a_device_is_taken_once(aws):
    instance = aws.launch(aws.image())["InstanceId"]
    with refused("InvalidParameterValue"):
        aws.ec2().attach_volume(VolumeId=volume(aws), InstanceId=instance, Device="/dev/xvda")


def test_volumes_are_filtered(aws):
    name = volume(aws, TagSpecifications=[tags("volume", team="web")])
    volume(aws, Size=11)
    for query in [("tag:team", "web"), ("size", "10"), ("volume-id", name)]:
        filters = [{"Name": query[0], "Values": [query[1]]}]
        volumes = aws.ec2().describe_volumes(Filters=filters)["Volumes"]
        assert [entry["VolumeId"] for entry in volumes] == [name]


def test_a_snapshot_is_pending_and_then_completed(aws):
    made = aws.ec2().create_snapshot(VolumeId=volume(aws), Description="before the change")
    assert made["State"] == "pending"
    assert made["Description"] == "before the change"
    aws.pass_time("30s")
    half = aws.ec2().describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"][0]
    assert 50 <= int(half["Progress"].rstrip("%")) < 100
    aws.pass_time("30s")
    done = aws.ec2().describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"][0]
    assert (done["State"], done["Progress"]) == ("completed", "100%")
    assert done["OwnerId"] == aws.account


def test_the_waiter_of_boto3_sees_a_snapshot_complete(aws):
    name = snapshot(aws)
    aws.ec2().get_waiter("snapshot_completed").wait(SnapshotIds=[name])


def test_a_snapshot_of_what_does_not_exist_is_refused(aws):
    with refused("InvalidVolume.NotFound"):
        aws.ec2().create_snapshot(VolumeId="vol-00000000000000000")


def test_a_snapshot_is_deleted(aws):
    name = snapshot(aws)
    aws.ec2().delete_snapshot(SnapshotId=name)
    with refused("InvalidSnapshot.NotFound"):
        found(aws, SnapshotIds=[name])


def test_a_snapshot_of_an_image_is_in_use(aws):
    image = aws.image()
    name = aws.snapshots(image)[0]
    with refused("InvalidSnapshot.InUse", 400) as caught:
        aws.ec2().delete_snapshot(SnapshotId=name)
    assert f"The snapshot {name} is currently in use by {image}" in str(caught.value)


def test_a_snapshot_of_a_disabled_image_is_in_use(aws):
    image = aws.image()
    aws.ec2().disable_image(ImageId=image)
    answer = aws.ec2().describe_images(ImageIds=[image], IncludeDisabled=True)
    name = answer["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with refused("InvalidSnapshot.InUse"):
        aws.ec2().delete_snapshot(SnapshotId=name)


def test_a_snapshot_that_does_not_exist_is_not_found(aws):
    with refused("InvalidSnapshot.NotFound", 400):
        found(aws, SnapshotIds=[NO_SUCH_SNAPSHOT])
    with refused("InvalidSnapshot.NotFound"):
        aws.ec2().delete_snapshot(SnapshotId=NO_SUCH_SNAPSHOT)


def test_a_malformed_snapshot_id_is_refused(aws):
    with refused("InvalidSnapshotID.Malformed"):
        found(aws, SnapshotIds=["snap-xyz"])


def test_snapshots_are_filtered(aws):
    more = {"TagSpecifications": [tags("snapshot", team="web")], "Description": "d"}
    source = volume(aws)
    name = aws.ec2().create_snapshot(VolumeId=source, **more)["SnapshotId"]
    aws.ec2().create_snapshot(VolumeId=volume(aws, Size=11))
    queries = {
        "tag:team": "web",
        "tag-key": "team",
        "description": "d",
        "volume-id": source,
        "volume-size": "10",
        "snapshot-id": name,
    }
    for key, value in queries.items():
        query = [{"Name": key, "Values": [value]}]
        assert found(aws, OwnerIds=["self"], Filters=query) == [name], key
    query = [{"Name": "status", "Values": ["pending"]}]
    assert len(found(aws, OwnerIds=["self"], Filters=query)) == 2


def test_snapshots_come_in_pages(aws):
    source = volume(aws)
    for _ in range(7):
        aws.ec2().create_snapshot(VolumeId=source)
    paginator = aws.ec2().get_paginator("describe_snapshots")
    pages = paginator.paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 5})
    assert [len(page["Snapshots"]) for page in pages] == [5, 2]


def test_more_snapshots_can_be_asked_for_than_come_in_a_page(aws):
    ec2 = aws.ec2()
    assert ec2.describe_snapshots(OwnerIds=["self"], MaxResults=1001)["Snapshots"] == []
    with refused("InvalidParameterValue"):
        ec2.describe_snapshots(MaxResults=4)


def test_a_private_snapshot_is_invisible_to_others(aws):
    name = snapshot(aws)
    with refused("InvalidSnapshot.NotFound"):
        found(aws, aws.other, SnapshotIds=[name])


def test_a_snapshot_is_shared_with_an_account_and_taken_back(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"UserId": aws.other}])
    assert permissions(aws, name) == [{"UserId": aws.other}]
    assert found(aws, aws.other, OwnerIds=[aws.account]) == [name]
    share(aws, name, Remove=[{"UserId": aws.other}])
    assert found(aws, aws.other, OwnerIds=[aws.account]) == []


def test_the_older_way_of_sharing_a_snapshot_works_too(aws):
    name = snapshot(aws)
    aws.ec2().modify_snapshot_attribute(
        SnapshotId=name,
        Attribute="createVolumePermission",
        OperationType="add",
        UserIds=[aws.other],
    )
    assert permissions(aws, name) == [{"UserId": aws.other}]


def test_a_snapshot_is_shared_with_what_looks_like_an_account(aws):
    name = snapshot(aws)
    for change in [{"UserId": "1234-5678-9012"}, {"Group": "everyone"}]:
        with refused("InvalidParameterValue", 400):
            share(aws, name, Add=[change])


def test_restorable_by_finds_what_an_account_can_use(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"UserId": aws.other}])
    assert found(aws, OwnerIds=["self"], RestorableByUserIds=[aws.other]) == [name]
    assert found(aws, aws.other, RestorableByUserIds=["self"]) == [name]


def test_a_public_snapshot_can_be_read_by_everyone(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"Group": "all"}])
    assert permissions(aws, name) == [{"Group": "all"}]
    assert found(aws, aws.other, SnapshotIds=[name]) == [name]
    assert name in found(aws, RestorableByUserIds=["all"])


def test_permissions_are_added_or_removed_and_not_both(aws):
    with refused("InvalidParameterCombination"):
        share(aws, snapshot(aws), Add=[{"UserId": aws.other}], Remove=[{"Group": "all"}])


def test_resetting_makes_a_snapshot_private(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"UserId": aws.other}])
    aws.ec2().reset_snapshot_attribute(SnapshotId=name, Attribute="createVolumePermission")
    assert permissions(aws, name) == []


def test_a_snapshot_encrypted_with_the_default_key_cannot_be_shared(aws):
    name = snapshot(aws, Encrypted=True)
    with refused("OperationNotPermitted"):
        share(aws, name, Add=[{"UserId": aws.other}])


def test_an_encrypted_snapshot_cannot_be_public(aws):
    name = snapshot(aws, Encrypted=True, KmsKeyId=aws.key())
    with refused("OperationNotPermitted"):
        share(aws, name, Add=[{"Group": "all"}])
    share(aws, name, Add=[{"UserId": aws.other}])


def test_the_tags_of_a_shared_snapshot_stay_with_its_owner(aws):
    name = snapshot(aws)
    aws.ec2().create_tags(Resources=[name], Tags=[{"Key": "team", "Value": "web"}])
    share(aws, name, Add=[{"UserId": aws.other}])
    answer = aws.ec2(account=aws.other).describe_snapshots(SnapshotIds=[name])
    assert "Tags" not in answer["Snapshots"][0]


def test_block_public_access_refuses_new_public_snapshots(aws):
    ec2 = aws.ec2()
    assert ec2.get_snapshot_block_public_access_state()["State"] == "unblocked"
    ec2.enable_snapshot_block_public_access(State="block-new-sharing")
    with refused("OperationNotPermitted"):
        share(aws, snapshot(aws), Add=[{"Group": "all"}])
    assert ec2.disable_snapshot_block_public_access()["State"] == "unblocked"


def test_blocking_new_sharing_leaves_public_snapshots_public(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"Group": "all"}])
    aws.ec2().enable_snapshot_block_public_access(State="block-new-sharing")
    assert found(aws, aws.other, SnapshotIds=[name]) == [name]


def test_blocking_all_sharing_hides_public_snapshots_and_keeps_the_permission(aws):
    name = snapshot(aws)
    share(aws, name, Add=[{"Group": "all"}])
    aws.ec2().enable_snapshot_block_public_access(State="block-all-sharing")
    with refused("InvalidSnapshot.NotFound"):
        found(aws, aws.other, SnapshotIds=[name])
    assert permissions(aws, name) == [{"Group": "all"}]
    aws.ec2().disable_snapshot_block_public_access()
    assert found(aws, aws.other, SnapshotIds=[name]) == [name]


def test_a_snapshot_is_copied_to_another_region(aws):
    source = snapshot(aws)
    copied = aws.ec2(THERE).copy_snapshot(
        SourceRegion=HERE,
        SourceSnapshotId=source,
        Description="copy",
        TagSpecifications=[tags("snapshot", team="web")],
    )
    assert copied["Tags"] == [{"Key": "team", "Value": "web"}]
    aws.pass_time("60s")
    answer = aws.ec2(THERE).describe_snapshots(SnapshotIds=[copied["SnapshotId"]])
    entry = answer["Snapshots"][0]
    assert (entry["State"], entry["VolumeSize"]) == ("completed", 10)
    assert entry["Description"] == "copy"


def test_a_snapshot_can_be_encrypted_by_copying_it(aws):
    key = aws.key(THERE)
    copied = aws.ec2(THERE).copy_snapshot(
        SourceRegion=HERE, SourceSnapshotId=snapshot(aws), Encrypted=True, KmsKeyId=key
    )
    answer = aws.ec2(THERE).describe_snapshots(SnapshotIds=[copied["SnapshotId"]])
    assert answer["Snapshots"][0]["KmsKeyId"] == key


def test_a_snapshot_is_not_decrypted_by_copying_it(aws):
    source = snapshot(aws, Encrypted=True)
    with refused("InvalidParameterCombination"):
        aws.ec2(THERE).copy_snapshot(SourceRegion=HERE, SourceSnapshotId=source, Encrypted=False)


def test_more_snapshot_copies_than_may_be_in_flight_are_refused(aws):
    source = snapshot(aws)
    ec2 = aws.ec2(THERE)
    for _ in range(20):
        ec2.copy_snapshot(SourceRegion=HERE, SourceSnapshotId=source)
    with refused("ResourceLimitExceeded") as caught:
        ec2.copy_snapshot(SourceRegion=HERE, SourceSnapshotId=source)
    assert "Too many snapshot copies in progress" in str(caught.value)


def test_encryption_by_default_is_switched_on_and_off(aws):
    ec2 = aws.ec2()
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    assert ec2.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True
    assert ec2.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False


def test_encryption_by_default_encrypts_new_volumes_and_their_snapshots(aws):
    aws.ec2().enable_ebs_encryption_by_default()
    name = snapshot(aws)
    entry = aws.ec2().describe_snapshots(SnapshotIds=[name])["Snapshots"][0]
    assert entry["Encrypted"] is True


def test_the_default_key_can_be_chosen_and_given_up(aws):
    ec2 = aws.ec2()
    key = aws.key()
    assert ec2.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
    assert ec2.modify_ebs_default_kms_key_id(KmsKeyId=key)["KmsKeyId"] == key
    name = snapshot(aws, Encrypted=True)
    assert ec2.describe_snapshots(SnapshotIds=[name])["Snapshots"][0]["KmsKeyId"] == key
    assert ec2.reset_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"


def test_all_volumes_of_an_instance_are_taken_at_once(aws):
    instance = aws.launch(aws.image(volumes=2))["InstanceId"]
    answer = aws.ec2().create_snapshots(
        InstanceSpecification={"InstanceId": instance, "ExcludeBootVolume": True},
        Description="data",
        TagSpecifications=[tags("snapshot", team="web")],
    )["Snapshots"]
    assert [(entry["State"], entry["Description"]) for entry in answer] == [("pending", "data")]
    assert answer[0]["Tags"] == [{"Key": "team", "Value": "web"}]
    both = aws.ec2().create_snapshots(InstanceSpecification={"InstanceId": instance})
    assert len(both["Snapshots"]) == 2
