"""CopyImage: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/CopyingAMIs.html"""

import pytest
from botocore.exceptions import HTTPClientError
from conftest import HERE, NO_SUCH_IMAGE, THERE, admin, refused, tags


def reason(aws, image):
    return aws.describe(image, THERE)["StateReason"]["Message"]


def test_a_copy_is_pending_and_then_available(aws):
    copy = aws.copy(aws.image())
    assert aws.state(copy, THERE) == "pending"
    aws.pass_time("60s")
    assert aws.state(copy, THERE) == "available"


def test_the_waiter_of_boto3_sees_a_copy_become_available(aws):
    copy = aws.copy(aws.image())
    aws.pass_time("60s")
    aws.ec2(THERE).get_waiter("image_available").wait(ImageIds=[copy])


def test_a_copy_names_its_source(aws):
    source = aws.image()
    found = aws.describe(aws.copy(source), THERE)
    assert (found["SourceImageId"], found["SourceImageRegion"]) == (source, HERE)


def test_copies_can_be_found_by_their_source(aws):
    source = aws.image()
    copy = aws.copy(source)
    query = [
        {"Name": "source-image-id", "Values": [source]},
        {"Name": "source-image-region", "Values": [HERE]},
    ]
    found = aws.ec2(THERE).describe_images(Owners=["self"], Filters=query)["Images"]
    assert [image["ImageId"] for image in found] == [copy]


def test_a_copy_has_snapshots_of_its_own(aws):
    source = aws.image(volumes=2)
    copy = aws.copy(source)
    mine = aws.snapshots(copy, THERE)
    assert len(mine) == 2
    assert not set(mine) & set(aws.snapshots(source))


def test_a_copy_can_be_made_within_a_region(aws):
    source = aws.image()
    copy = aws.copy(source, region=HERE)
    assert aws.describe(copy)["SourceImageRegion"] == HERE


def test_a_copy_inherits_what_the_image_is_made_for(aws):
    source = aws.image(machine={"architecture": "arm64", "tpmSupport": "v2.0"})
    found = aws.describe(aws.copy(source), THERE)
    assert (found["Architecture"], found["TpmSupport"]) == ("arm64", "v2.0")


def test_tags_are_not_copied_unless_asked_for(aws):
    source = aws.image(tags={"team": "web"})
    assert "Tags" not in aws.describe(aws.copy(source), THERE)


def test_tags_are_copied_when_asked_for(aws):
    source = aws.image(tags={"team": "web"})
    copy = aws.copy(source, CopyImageTags=True)
    assert aws.describe(copy, THERE)["Tags"] == [{"Key": "team", "Value": "web"}]


def test_tags_of_the_call_win_over_copied_ones(aws):
    source = aws.image(tags={"team": "web", "tier": "one"})
    more = [tags("image", team="db")]
    copy = aws.copy(source, CopyImageTags=True, TagSpecifications=more)
    found = {tag["Key"]: tag["Value"] for tag in aws.describe(copy, THERE)["Tags"]}
    assert found == {"team": "db", "tier": "one"}


def test_the_tags_of_another_owner_are_not_copied(aws):
    seed = {"a": "1", "ec2:SharedTag/b": "2"}
    source = aws.image(account=aws.other, sharedWith=[aws.account], tags=seed)
    copy = aws.copy(source, CopyImageTags=True)
    assert aws.describe(copy, THERE)["Tags"] == [{"Key": "ec2:SharedTag/b", "Value": "2"}]


def test_every_snapshot_of_a_copy_gets_the_same_tags(aws):
    source = aws.image(volumes=2)
    aws.copy(source, TagSpecifications=[tags("snapshot", team="disk")])
    query = [{"Name": "tag:team", "Values": ["disk"]}]
    assert len(aws.ec2(THERE).describe_snapshots(Filters=query)["Snapshots"]) == 2


def test_a_copy_cannot_tag_anything_else(aws):
    with refused("InvalidParameterValue"):
        aws.copy(aws.image(), TagSpecifications=[tags("instance", team="web")])


def test_permissions_deprecation_and_protection_are_not_copied(aws):
    source = aws.image(sharedWith=[aws.other])
    ec2 = aws.ec2()
    ec2.enable_image_deprecation(ImageId=source, DeprecateAt="2030-01-01T00:00:00Z")
    ec2.enable_image_deregistration_protection(ImageId=source)
    copy = aws.copy(source)
    aws.pass_time("60s")
    found = aws.describe(copy, THERE)
    assert "DeprecationTime" not in found
    assert found["DeregistrationProtection"] == "disabled"
    assert aws.sharees(copy, THERE) == []


def test_a_source_that_does_not_exist_is_not_found(aws):
    with refused("InvalidAMIID.NotFound"):
        aws.copy(NO_SUCH_IMAGE)


def test_a_source_is_looked_for_in_the_source_region(aws):
    with refused("InvalidAMIID.NotFound"):
        aws.copy(aws.image(region=THERE))


def test_a_source_that_is_pending_cannot_be_copied(aws):
    pending = aws.copy(aws.image(), region=HERE)
    with refused("InvalidAMIID.Unavailable"):
        aws.copy(pending)


def test_a_source_that_is_disabled_cannot_be_copied(aws):
    source = aws.image()
    aws.ec2().disable_image(ImageId=source)
    with refused("InvalidAMIID.Unavailable"):
        aws.copy(source)


def test_a_source_region_that_does_not_exist_is_refused(aws):
    with refused("InvalidRegion"):
        aws.copy(aws.image(), SourceRegion="moon-1")


def test_a_shared_image_can_be_launched_but_not_copied_without_its_snapshots(aws):
    source = aws.image(account=aws.other, sharedWith=[aws.account], shareSnapshots=False)
    aws.launch(source)
    with refused("InvalidRequest") as caught:
        aws.copy(source)
    assert "You do not have permission to access the storage of this ami" in str(caught.value)


def test_sharing_the_snapshots_makes_a_shared_image_copyable(aws):
    source = aws.image(account=aws.other, sharedWith=[aws.account], shareSnapshots=False)
    owner = aws.ec2(account=aws.other)
    snapshot = aws.snapshots(source)[0]
    owner.modify_snapshot_attribute(
        SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": aws.account}]}
    )
    assert aws.describe(aws.copy(source), THERE)["OwnerId"] == aws.account


def test_a_name_must_be_free(aws):
    source = aws.image()
    first = aws.copy(source, "golden")
    with refused("InvalidAMIName.Duplicate", 400) as caught:
        aws.copy(source, "golden")
    assert f"AMI name golden is already in use by AMI {first}" in str(caught.value)


def test_a_name_is_free_in_another_region_and_account(aws):
    source = aws.image(public=True)
    aws.copy(source, "golden")
    aws.copy(source, "golden", region=HERE)
    aws.copy(source, "golden", account=aws.other)


def test_a_name_is_free_again_after_deregistration(aws):
    source = aws.image()
    aws.ec2(THERE).deregister_image(ImageId=aws.copy(source, "golden"))
    aws.copy(source, "golden")


def test_a_name_outside_the_rules_is_refused(aws):
    source = aws.image()
    for name in ["x" * 129, "a:b", "a*b", "größer"]:
        with refused("InvalidAMIName.Malformed"):
            aws.copy(source, name)


def test_every_allowed_character_of_a_name_is_accepted(aws):
    aws.copy(aws.image(), "Az09 ()[]./-'@_")


def test_a_description_beyond_255_characters_is_refused(aws):
    with refused("InvalidParameterValue"):
        aws.copy(aws.image(), Description="x" * 256)


def test_the_same_client_token_makes_one_copy(aws):
    source = aws.image()
    assert aws.copy(source, ClientToken="t-1") == aws.copy(source, ClientToken="t-1")


def test_the_same_client_token_with_other_parameters_is_a_mismatch(aws):
    source = aws.image()
    aws.copy(source, ClientToken="t-1")
    with refused("IdempotentParameterMismatch", 400):
        aws.copy(source, "other", ClientToken="t-1")


def test_a_client_token_counts_in_its_region(aws):
    source = aws.image()
    assert aws.copy(source, ClientToken="t-1") != aws.copy(source, region=HERE, ClientToken="t-1")


def test_a_client_token_can_expire(aws):
    source = aws.image()
    aws.configure(tokenLife="24h")
    aws.copy(source, ClientToken="t-1")
    aws.pass_time("24h")
    with refused("InvalidAMIName.Duplicate"):
        aws.copy(source, ClientToken="t-1")


def test_a_pending_copy_is_cancelled_by_deregistering_it(aws):
    ec2 = aws.ec2(THERE)
    ec2.deregister_image(ImageId=aws.copy(aws.image()))
    aws.pass_time("60s")
    assert ec2.describe_images(Owners=["self"])["Images"] == []


def test_a_copy_can_fail_and_says_why(aws):
    source = aws.image()
    aws.fault({"failCopy": {"reason": "out of luck"}}, operation="CopyImage", account=aws.account)
    copy = aws.copy(source)
    assert aws.state(copy, THERE) == "pending"
    aws.pass_time("60s")
    assert (aws.state(copy, THERE), reason(aws, copy)) == ("failed", "out of luck")


def test_more_copies_than_may_be_in_flight_are_refused(aws):
    source = aws.image()
    aws.configure(copiesInFlight=2)
    aws.copy(source, "one")
    aws.copy(source, "two")
    with refused("ResourceLimitExceeded"):
        aws.copy(source, "three")
    aws.pass_time("60s")
    aws.copy(source, "three")


def test_a_completion_duration_goes_in_steps_of_a_quarter_of_an_hour(aws):
    source = aws.image()
    aws.copy(source, SnapshotCopyCompletionDurationMinutes=30)
    for minutes in [10, 20, 2895]:
        with refused("InvalidParameterValue"):
            aws.copy(source, "other", SnapshotCopyCompletionDurationMinutes=minutes)


def test_the_snapshots_of_a_copy_with_a_duration_are_time_based(aws):
    copies = [
        aws.copy(aws.image(), "timed", SnapshotCopyCompletionDurationMinutes=30),
        aws.copy(aws.image(), "standard"),
    ]
    names = [name for copy in copies for name in aws.snapshots(copy, THERE)]
    found = aws.ec2(THERE).describe_snapshots(SnapshotIds=names)["Snapshots"]
    kinds = {(each["TransferType"], each.get("CompletionDurationMinutes")) for each in found}
    assert kinds == {("time-based", 30), ("standard", None)}


def test_an_encrypted_source_cannot_be_copied_unencrypted(aws):
    source = aws.image(encrypted=True, kmsKeyId=aws.key(alias="alias/a"))
    with refused("InvalidRequest", 400) as caught:
        aws.copy(source, Encrypted=False)
    [snapshot] = aws.snapshots(source, HERE)
    assert f"Snapshot {snapshot} is encrypted. Creating unencrypted copy" in str(caught.value)


def test_a_key_needs_encrypted_to_be_true(aws):
    source = aws.image()
    for encrypted in [{}, {"Encrypted": False}]:
        with refused("InvalidParameterDependency", 400):
            aws.copy(source, KmsKeyId=aws.key(THERE), **encrypted)


def test_a_copy_is_encrypted_with_the_key_that_is_named(aws):
    key = aws.key(THERE, alias="alias/golden")
    copy = aws.copy(aws.image(), Encrypted=True, KmsKeyId="alias/golden")
    aws.pass_time("60s")
    snapshot = aws.ec2(THERE).describe_snapshots(SnapshotIds=aws.snapshots(copy, THERE))
    assert snapshot["Snapshots"][0]["Encrypted"] is True
    assert snapshot["Snapshots"][0]["KmsKeyId"] == key


def test_a_copy_of_an_encrypted_source_is_encrypted_with_the_default_key(aws):
    source = aws.image(encrypted=True, kmsKeyId=aws.key())
    snapshots = aws.snapshots(aws.copy(source), THERE)
    found = aws.ec2(THERE).describe_snapshots(SnapshotIds=snapshots)["Snapshots"][0]
    described = aws.kms(THERE).describe_key(KeyId=found["KmsKeyId"])["KeyMetadata"]
    assert described["KeyManager"] == "AWS"


def test_a_key_that_cannot_be_used_fails_the_copy_after_the_answer(aws):
    copy = aws.copy(aws.image(), Encrypted=True, KmsKeyId="alias/nowhere")
    assert aws.state(copy, THERE) == "pending"
    aws.pass_time("60s")
    assert aws.state(copy, THERE) == "failed"
    assert reason(aws, copy) == "Given key ID is not accessible"


def test_the_snapshot_of_a_failed_copy_says_why_too(aws):
    copy = aws.copy(aws.image(), Encrypted=True, KmsKeyId="alias/nowhere")
    aws.pass_time("60s")
    found = aws.ec2(THERE).describe_snapshots(SnapshotIds=aws.snapshots(copy, THERE))
    snapshot = found["Snapshots"][0]
    assert (snapshot["State"], snapshot["StateMessage"]) == (
        "error",
        "Given key ID is not accessible",
    )


def test_a_key_that_is_disabled_during_the_copy_fails_it(aws):
    key = aws.key(THERE)
    copy = aws.copy(aws.image(), Encrypted=True, KmsKeyId=key)
    aws.kms(THERE).disable_key(KeyId=key)
    aws.pass_time("60s")
    assert aws.state(copy, THERE) == "failed"


def test_a_shared_encrypted_image_needs_its_key_to_be_shared(aws):
    closed = aws.key(account=aws.other)
    opened = aws.key(account=aws.other, sharedWith=[aws.account])
    copies = {}
    for name, key in [("closed", closed), ("opened", opened)]:
        seed = {"encrypted": True, "kmsKeyId": key, "sharedWith": [aws.account]}
        source = aws.image(account=aws.other, name=name, **seed)
        copies[name] = aws.copy(source, name, Encrypted=True)
    aws.pass_time("60s")
    assert aws.state(copies["closed"], THERE) == "failed"
    assert aws.state(copies["opened"], THERE) == "available"


def test_encryption_by_default_encrypts_copies(aws):
    aws.ec2(THERE).enable_ebs_encryption_by_default()
    found = aws.describe(aws.copy(aws.image()), THERE)
    assert found["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_ancestry_leads_from_an_image_to_its_root(aws):
    root = aws.image()
    middle = aws.copy(root)
    aws.pass_time("60s")
    ec2 = aws.ec2(THERE)
    last = ec2.copy_image(Name="last", SourceImageId=middle, SourceRegion=THERE)["ImageId"]
    line = ec2.get_image_ancestry(ImageId=last)["ImageAncestryEntries"]
    assert [entry["ImageId"] for entry in line] == [last, middle, root]
    assert line[1]["SourceImageId"] == root
    assert line[1]["SourceImageRegion"] == HERE
    assert "SourceImageId" not in line[2]


def test_ancestry_knows_an_ancestor_that_is_deregistered(aws):
    root = aws.image()
    copy = aws.copy(root)
    aws.ec2().deregister_image(ImageId=root)
    line = aws.ec2(THERE).get_image_ancestry(ImageId=copy)["ImageAncestryEntries"]
    assert [entry["ImageId"] for entry in line] == [copy, root]


def test_a_lost_reply_leaves_a_copy_that_the_token_finds_again(aws):
    source = aws.image()
    aws.fault("dropReply", operation="CopyImage", account=aws.account, times=1)
    with pytest.raises(HTTPClientError):
        aws.copy(source, ClientToken="t-1")
    copy = aws.copy(source, ClientToken="t-1")
    found = aws.ec2(THERE).describe_images(Owners=["self"])["Images"]
    assert [image["ImageId"] for image in found] == [copy]
    assert admin("GET", "faults") == {}
