"""Deprecation, disabling, protection, deregistration and the Recycle Bin."""

from datetime import datetime, timedelta

from conftest import HERE, NO_SUCH_IMAGE, admin, refused


def listed(aws, account=None, **query):
    found = aws.ec2(account=account).describe_images(**query)["Images"]
    return [image["ImageId"] for image in found]


def retain(aws, kind, days=7):
    rule = {"region": HERE, "account": aws.account, "resourceType": kind, "days": days}
    admin("POST", "retention-rules", rule)


def later(aws, **span):
    """A moment that lies ahead, as calls write it."""
    now = datetime.fromisoformat(aws.now())
    return (now + timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def soon(aws):
    return later(aws, hours=1)


def test_a_deprecated_image_is_still_seen_by_its_owner(aws):
    image = aws.image()
    aws.ec2().enable_image_deprecation(ImageId=image, DeprecateAt=soon(aws))
    aws.pass_time("2h")
    assert listed(aws, Owners=["self"]) == [image]


def test_a_deprecated_image_is_hidden_from_others_unless_they_ask(aws):
    image = aws.image(sharedWith=[aws.other])
    aws.ec2().enable_image_deprecation(ImageId=image, DeprecateAt=soon(aws))
    assert listed(aws, aws.other, Owners=[aws.account]) == [image]
    aws.pass_time("2h")
    assert listed(aws, aws.other, Owners=[aws.account]) == []
    assert listed(aws, aws.other, Owners=[aws.account], IncludeDeprecated=True) == [image]
    assert aws.launch(image, account=aws.other)["ImageId"] == image


def test_the_time_of_deprecation_is_rounded_to_the_minute(aws):
    image = aws.image()
    aws.ec2().enable_image_deprecation(ImageId=image, DeprecateAt="2030-06-01T10:20:40Z")
    assert aws.describe(image)["DeprecationTime"] == "2030-06-01T10:21:00.000Z"


def test_deprecation_in_the_past_is_refused(aws):
    with refused("InvalidParameterValue"):
        aws.ec2().enable_image_deprecation(ImageId=aws.image(), DeprecateAt="2020-01-01T00:00:00Z")


def test_deprecation_more_than_ten_years_ahead_is_refused(aws):
    with refused("InvalidParameterValue"):
        aws.ec2().enable_image_deprecation(ImageId=aws.image(), DeprecateAt=later(aws, days=3700))


def test_a_public_image_is_deprecated_within_two_years(aws):
    image = aws.image(public=True)
    with refused("InvalidParameterValue"):
        aws.ec2().enable_image_deprecation(ImageId=image, DeprecateAt=later(aws, days=800))


def test_deprecation_is_taken_back(aws):
    image = aws.image()
    ec2 = aws.ec2()
    ec2.enable_image_deprecation(ImageId=image, DeprecateAt=soon(aws))
    ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in aws.describe(image)


def test_a_disabled_image_is_listed_only_when_asked_for(aws):
    image = aws.image()
    aws.ec2().disable_image(ImageId=image)
    assert listed(aws, Owners=["self"]) == []
    assert listed(aws, Owners=["self"], IncludeDisabled=True) == [image]


def test_a_disabled_image_cannot_be_launched(aws):
    image = aws.image()
    aws.ec2().disable_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        aws.launch(image)


def test_a_disabled_image_cannot_be_shared(aws):
    image = aws.image()
    aws.ec2().disable_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        aws.share(image)


def test_disabling_takes_away_launch_permissions_for_good(aws):
    image = aws.image(sharedWith=[aws.other])
    ec2 = aws.ec2()
    ec2.disable_image(ImageId=image)
    ec2.enable_image(ImageId=image)
    assert aws.state(image) == "available"
    assert aws.sharees(image) == []


def test_disabling_and_enabling_twice_is_no_error(aws):
    image = aws.image()
    ec2 = aws.ec2()
    assert ec2.disable_image(ImageId=image)["Return"] is True
    assert ec2.disable_image(ImageId=image)["Return"] is True
    assert ec2.enable_image(ImageId=image)["Return"] is True
    assert ec2.enable_image(ImageId=image)["Return"] is True


def test_only_the_owner_may_disable(aws):
    image = aws.image(sharedWith=[aws.other])
    with refused("AuthFailure"):
        aws.ec2(account=aws.other).disable_image(ImageId=image)


def test_a_protected_image_cannot_be_deregistered(aws):
    image = aws.image()
    ec2 = aws.ec2()
    answer = ec2.enable_image_deregistration_protection(ImageId=image)
    assert answer["Return"] == "enabled-without-cooldown"
    assert aws.describe(image)["DeregistrationProtection"] == "enabled-without-cooldown"
    with refused("OperationNotPermitted"):
        ec2.deregister_image(ImageId=image)


def test_protection_without_a_cooldown_ends_at_once(aws):
    image = aws.image()
    ec2 = aws.ec2()
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=False)
    ec2.disable_image_deregistration_protection(ImageId=image)
    ec2.deregister_image(ImageId=image)


def test_protection_with_a_cooldown_holds_for_a_day(aws):
    image = aws.image()
    ec2 = aws.ec2()
    ec2.enable_image_deregistration_protection(ImageId=image, WithCooldown=True)
    ec2.disable_image_deregistration_protection(ImageId=image)
    aws.pass_time("23h")
    with refused("OperationNotPermitted"):
        ec2.deregister_image(ImageId=image)
    aws.pass_time("1h")
    ec2.deregister_image(ImageId=image)


def test_a_deregistered_image_is_gone(aws):
    image = aws.image()
    assert aws.ec2().deregister_image(ImageId=image)["Return"] is True
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image)
    with refused("InvalidAMIID.Unavailable"):
        aws.launch(image)


def test_deregistering_twice_is_refused(aws):
    image = aws.image()
    aws.ec2().deregister_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        aws.ec2().deregister_image(ImageId=image)


def test_deregistering_what_does_not_exist_is_refused(aws):
    with refused("InvalidAMIID.NotFound"):
        aws.ec2().deregister_image(ImageId=NO_SUCH_IMAGE)


def test_only_the_owner_may_deregister(aws):
    image = aws.image(sharedWith=[aws.other])
    with refused("AuthFailure"):
        aws.ec2(account=aws.other).deregister_image(ImageId=image)


def test_running_instances_do_not_keep_an_image(aws):
    image = aws.image()
    instance = aws.launch(image)["InstanceId"]
    aws.ec2().deregister_image(ImageId=image)
    found = aws.ec2().describe_instances(InstanceIds=[instance])["Reservations"]
    assert found[0]["Instances"][0]["State"]["Name"] == "running"


def test_snapshots_stay_after_deregistration(aws):
    image = aws.image()
    snapshot = aws.snapshots(image)[0]
    aws.ec2().deregister_image(ImageId=image)
    assert len(aws.ec2().describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]) == 1


def test_snapshots_are_deleted_with_the_image_when_asked_for(aws):
    image = aws.image(volumes=2)
    snapshots = aws.snapshots(image)
    answer = aws.ec2().deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    results = answer["DeleteSnapshotResults"]
    assert [result["SnapshotId"] for result in results] == snapshots
    assert {result["ReturnCode"] for result in results} == {"success"}
    with refused("InvalidSnapshot.NotFound"):
        aws.ec2().describe_snapshots(SnapshotIds=snapshots[:1])


def test_a_snapshot_that_another_image_uses_is_skipped(aws):
    image = aws.image()
    snapshot = aws.snapshots(image)[0]
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}
    aws.ec2().register_image(Name="other", RootDeviceName="/dev/xvda", BlockDeviceMappings=[device])
    answer = aws.ec2().deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "skipped"}]


def test_a_deregistered_image_comes_back_from_the_recycle_bin(aws):
    retain(aws, "image")
    image = aws.image(name="web-1", tags={"team": "web"}, sharedWith=[aws.other])
    ec2 = aws.ec2()
    ec2.deregister_image(ImageId=image)
    found = ec2.list_images_in_recycle_bin()["Images"]
    assert [(entry["ImageId"], entry["Name"]) for entry in found] == [(image, "web-1")]
    assert (found[0]["RecycleBinExitTime"] - found[0]["RecycleBinEnterTime"]).days == 7
    assert ec2.restore_image_from_recycle_bin(ImageId=image)["Return"] is True
    assert aws.describe(image)["Tags"] == [{"Key": "team", "Value": "web"}]
    assert aws.sharees(image) == [{"UserId": aws.other}]
    assert ec2.list_images_in_recycle_bin()["Images"] == []


def test_an_image_in_the_recycle_bin_cannot_be_used(aws):
    retain(aws, "image")
    image = aws.image()
    aws.ec2().deregister_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        aws.launch(image)


def test_the_recycle_bin_empties_itself(aws):
    retain(aws, "image", days=1)
    image = aws.image()
    aws.ec2().deregister_image(ImageId=image)
    aws.pass_time("24h")
    assert aws.ec2().list_images_in_recycle_bin()["Images"] == []
    with refused("InvalidAMIID.NotFound"):
        aws.ec2().restore_image_from_recycle_bin(ImageId=image)


def test_without_a_rule_nothing_goes_to_the_recycle_bin(aws):
    image = aws.image()
    aws.ec2().deregister_image(ImageId=image)
    assert aws.ec2().list_images_in_recycle_bin()["Images"] == []


def test_a_deleted_snapshot_comes_back_from_the_recycle_bin(aws):
    retain(aws, "snapshot")
    image = aws.image()
    snapshot = aws.snapshots(image)[0]
    ec2 = aws.ec2()
    ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    found = ec2.list_snapshots_in_recycle_bin()["Snapshots"]
    assert [entry["SnapshotId"] for entry in found] == [snapshot]
    assert ec2.restore_snapshot_from_recycle_bin(SnapshotId=snapshot)["SnapshotId"] == snapshot
    assert len(ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]) == 1


def test_an_image_is_not_restored_without_its_snapshots(aws):
    retain(aws, "image")
    image = aws.image()
    aws.ec2().deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    with refused("InvalidSnapshot.NotFound"):
        aws.ec2().restore_image_from_recycle_bin(ImageId=image)


def test_a_deregistered_image_is_an_empty_answer_while_instances_refer_to_it(aws):
    image = aws.image()
    launched = aws.launch(image)["InstanceId"]
    aws.ec2().deregister_image(ImageId=image)
    assert aws.ec2().describe_images(ImageIds=[image])["Images"] == []
    aws.ec2().terminate_instances(InstanceIds=[launched])
    with refused("InvalidAMIID.NotFound"):
        aws.ec2().describe_images(ImageIds=[image])
