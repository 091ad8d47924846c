"""Launch permissions and other attributes of images:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/sharing-amis.html"""

import pytest
from conftest import HERE, THERE, admin, refused

ORGANIZATION = "arn:aws:organizations::999999999999:organization/o-abcde12345"
UNIT = "arn:aws:organizations::999999999999:ou/o-abcde12345/ou-abcd-12345678"


def permit(aws, image, **changes):
    aws.ec2().modify_image_attribute(ImageId=image, LaunchPermission=changes)


def attribute(aws, image, name):
    return aws.ec2().describe_image_attribute(ImageId=image, Attribute=name)


def join(account, **membership):
    admin("POST", "memberships", {"account": account, **membership})


def test_an_image_is_shared_with_an_account_and_taken_back(aws):
    image = aws.image()
    permit(aws, image, Add=[{"UserId": aws.other}])
    assert aws.sharees(image) == [{"UserId": aws.other}]
    assert aws.describe(image, account=aws.other)["ImageId"] == image
    permit(aws, image, Remove=[{"UserId": aws.other}])
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image, account=aws.other)


def test_sharing_twice_is_no_error(aws):
    image = aws.image()
    aws.share(image)
    aws.share(image)
    assert len(aws.sharees(image)) == 1


def test_taking_back_what_was_never_given_is_no_error(aws):
    permit(aws, aws.image(), Remove=[{"UserId": aws.other}])


def test_the_older_way_of_naming_accounts_works_too(aws):
    image = aws.image()
    aws.ec2().modify_image_attribute(
        ImageId=image,
        Attribute="launchPermission",
        OperationType="add",
        UserIds=[aws.other],
    )
    assert aws.sharees(image) == [{"UserId": aws.other}]


def test_a_shared_image_can_be_launched_by_the_other_account(aws):
    image = aws.image()
    with refused("AuthFailure", 400):
        aws.launch(image, account=aws.other)
    aws.share(image)
    assert aws.launch(image, account=aws.other)["ImageId"] == image


def test_an_account_that_is_no_account_is_refused(aws):
    image = aws.image()
    for user in ["12345", "abcdefghijkl"]:
        with refused("InvalidAMIAttributeItemValue"):
            permit(aws, image, Add=[{"UserId": user}])


def test_the_only_group_is_all(aws):
    with refused("InvalidAMIAttributeItemValue"):
        permit(aws, aws.image(), Add=[{"Group": "friends"}])


def test_a_public_image_is_seen_by_everyone(aws):
    image = aws.image()
    permit(aws, image, Add=[{"Group": "all"}])
    found = aws.describe(image, account=aws.other)
    assert found["Public"] is True
    assert aws.sharees(image) == [{"Group": "all"}]


def test_a_public_image_is_deprecated_after_two_years(aws):
    image = aws.image()
    permit(aws, image, Add=[{"Group": "all"}])
    created = int(aws.describe(image)["CreationDate"][:4])
    assert int(aws.describe(image)["DeprecationTime"][:4]) in (created + 2, created + 1)


def test_only_the_owner_may_change_an_image(aws):
    image = aws.image(sharedWith=[aws.other])
    with refused("AuthFailure", 403):
        aws.ec2(account=aws.other).modify_image_attribute(
            ImageId=image, LaunchPermission={"Add": [{"UserId": aws.account}]}
        )


def test_only_the_owner_may_see_launch_permissions(aws):
    image = aws.image(sharedWith=[aws.other])
    with refused("AuthFailure"):
        aws.ec2(account=aws.other).describe_image_attribute(
            ImageId=image, Attribute="launchPermission"
        )


def test_resetting_removes_every_launch_permission(aws):
    image = aws.image(sharedWith=[aws.other], public=True)
    aws.ec2().reset_image_attribute(ImageId=image, Attribute="launchPermission")
    assert aws.sharees(image) == []


def test_only_launch_permissions_can_be_reset(aws):
    with refused("InvalidParameterValue"):
        aws.ec2().reset_image_attribute(ImageId=aws.image(), Attribute="description")


def test_an_account_can_take_itself_off_an_image(aws):
    image = aws.image(sharedWith=[aws.other])
    aws.ec2(account=aws.other).cancel_image_launch_permission(ImageId=image)
    assert aws.sharees(image) == []


def test_an_organization_sees_what_is_shared_with_it(aws):
    image = aws.image()
    join(aws.other, organization=ORGANIZATION)
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image, account=aws.other)
    permit(aws, image, Add=[{"OrganizationArn": ORGANIZATION}])
    assert aws.sharees(image) == [{"OrganizationArn": ORGANIZATION}]
    assert aws.launch(image, account=aws.other)["ImageId"] == image


def test_an_organizational_unit_sees_what_is_shared_with_it(aws):
    image = aws.image()
    permit(aws, image, Add=[{"OrganizationalUnitArn": UNIT}])
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image, account=aws.other)
    join(aws.other, organization=ORGANIZATION, units=[UNIT])
    assert aws.describe(image, account=aws.other)["ImageId"] == image


def test_executable_users_self_includes_the_organization_and_an_account_does_not(aws):
    image = aws.image()
    join(aws.other, organization=ORGANIZATION)
    permit(aws, image, Add=[{"OrganizationArn": ORGANIZATION}])
    mine = aws.ec2(account=aws.other).describe_images(ExecutableUsers=["self"])["Images"]
    assert image in [found["ImageId"] for found in mine]
    theirs = aws.ec2().describe_images(Owners=["self"], ExecutableUsers=[aws.other])
    assert theirs["Images"] == []


def test_an_arn_that_is_no_organization_is_refused(aws):
    with refused("InvalidParameterValue"):
        permit(aws, aws.image(), Add=[{"OrganizationArn": "arn:aws:iam::123456789012:root"}])


def test_others_see_only_shared_tags(aws):
    seed = {"secret": "a", "ec2:SharedTag/team": "web"}
    image = aws.image(sharedWith=[aws.other], tags=seed)
    found = aws.describe(image, account=aws.other)
    assert found["Tags"] == [{"Key": "ec2:SharedTag/team", "Value": "web"}]


def test_a_filter_does_not_tell_others_of_hidden_tags(aws):
    seed = {"secret": "a", "ec2:SharedTag/team": "web"}
    image = aws.image(sharedWith=[aws.other], tags=seed)

    def found(name, value):
        query = [{"Name": name, "Values": [value]}]
        ec2 = aws.ec2(account=aws.other)
        return [i["ImageId"] for i in ec2.describe_images(Filters=query)["Images"]]

    assert found("tag:secret", "a") == []
    assert found("tag-key", "secret") == []
    assert found("tag:ec2:SharedTag/team", "web") == [image]


def test_others_do_not_see_protection_and_last_launch(aws):
    image = aws.image(sharedWith=[aws.other])
    aws.launch(image)
    aws.pass_time("24h")
    found = aws.describe(image, account=aws.other)
    assert "DeregistrationProtection" not in found
    assert "LastLaunchedTime" not in found


def test_an_image_with_an_encrypted_snapshot_cannot_be_public(aws):
    image = aws.image(encrypted=True, kmsKeyId=aws.key())
    with refused("UnsupportedOperation", 400) as caught:
        permit(aws, image, Add=[{"Group": "all"}])
    assert "Encrypted snapshots can't be shared publicly" in str(caught.value)


def test_an_image_encrypted_with_its_own_key_can_be_shared(aws):
    image = aws.image(encrypted=True, kmsKeyId=aws.key())
    aws.share(image)


def test_an_image_encrypted_with_the_default_key_cannot_be_shared(aws):
    image = aws.image(encrypted=True)
    with refused("InvalidParameter") as caught:
        aws.share(image)
    assert "Snapshots encrypted with the AWS Managed CMK can't be shared" in str(caught.value)


def test_an_image_with_product_codes_cannot_be_public(aws):
    image = aws.image(machine={"productCodes": ["abc123"]})
    with refused("InvalidParameter"):
        permit(aws, image, Add=[{"Group": "all"}])
    aws.share(image)


def test_an_image_is_shared_with_so_many_and_no_more(aws):
    image = aws.image()
    aws.configure(sharees=2)
    aws.share(image, "300000000001", "300000000002")
    with refused("ResourceLimitExceeded"):
        aws.share(image, "300000000003")


def test_an_account_has_so_many_public_images_and_no_more(aws):
    for number in range(5):
        permit(aws, aws.image(name=f"web-{number}"), Add=[{"Group": "all"}])
    with refused("ResourceLimitExceeded"):
        permit(aws, aws.image(name="web-5"), Add=[{"Group": "all"}])


def test_a_description_is_changed(aws):
    image = aws.image(description="old")
    aws.ec2().modify_image_attribute(ImageId=image, Description={"Value": "new"})
    assert attribute(aws, image, "description")["Description"] == {"Value": "new"}
    assert aws.describe(image)["Description"] == "new"


def test_a_description_can_be_given_as_attribute_and_value(aws):
    image = aws.image()
    aws.ec2().modify_image_attribute(ImageId=image, Attribute="description", Value="new")
    assert aws.describe(image)["Description"] == "new"


def test_a_call_changes_one_attribute(aws):
    with refused("InvalidParameterCombination"):
        aws.ec2().modify_image_attribute(
            ImageId=aws.image(),
            Description={"Value": "new"},
            LaunchPermission={"Add": [{"UserId": aws.other}]},
        )


def test_a_call_must_change_something(aws):
    with refused("InvalidParameterCombination"):
        aws.ec2().modify_image_attribute(ImageId=aws.image())


def test_imds_support_is_set_and_cannot_be_taken_back(aws):
    image = aws.image(machine={"imdsSupport": None})
    aws.ec2().modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
    assert attribute(aws, image, "imdsSupport")["ImdsSupport"] == {"Value": "v2.0"}
    with refused("InvalidParameterValue"):
        aws.ec2().modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v1.0"})


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("bootMode", "BootMode", {"Value": "uefi"}),
        ("tpmSupport", "TpmSupport", {"Value": "v2.0"}),
        ("sriovNetSupport", "SriovNetSupport", {"Value": "simple"}),
        ("deregistrationProtection", "DeregistrationProtection", {"Value": "disabled"}),
        ("productCodes", "ProductCodes", None),
        ("kernel", "KernelId", {}),
        ("ramdisk", "RamdiskId", {}),
        ("lastLaunchedTime", "LastLaunchedTime", {}),
    ],
)
def test_each_attribute_can_be_read(aws, name, member, value):
    image = aws.image(machine={"bootMode": "uefi", "tpmSupport": "v2.0"})
    found = attribute(aws, image, name)
    assert found["ImageId"] == image
    assert found.get(member) == value


def test_block_device_mappings_are_not_read_as_an_attribute(aws):
    with refused("AuthFailure"):
        attribute(aws, aws.image(), "blockDeviceMapping")


def test_an_unknown_attribute_is_refused(aws):
    with refused("InvalidParameterValue"):
        attribute(aws, aws.image(), "colour")


def test_block_public_access_is_switched_on_and_off(aws):
    ec2 = aws.ec2()
    state = "ImageBlockPublicAccessState"
    assert ec2.get_image_block_public_access_state()[state] == "unblocked"
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    assert ec2.get_image_block_public_access_state()[state] == "block-new-sharing"
    assert ec2.disable_image_block_public_access()[state] == "unblocked"


def test_block_public_access_refuses_new_public_images_and_leaves_the_others(aws):
    ec2 = aws.ec2()
    before = aws.image(name="before", public=True)
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    with refused("OperationNotPermitted"):
        permit(aws, aws.image(name="after"), Add=[{"Group": "all"}])
    assert aws.describe(before, account=aws.other)["Public"] is True


def test_block_public_access_counts_in_one_region(aws):
    ec2 = aws.ec2(THERE)
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    permit(aws, aws.image(region=HERE), Add=[{"Group": "all"}])


def test_block_public_access_can_take_its_time(aws):
    aws.configure(blockAccessTime="10m")
    ec2 = aws.ec2()
    ec2.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
    permit(aws, aws.image(name="one"), Add=[{"Group": "all"}])
    aws.pass_time("10m")
    with refused("OperationNotPermitted"):
        permit(aws, aws.image(name="two"), Add=[{"Group": "all"}])


def allow(aws, state, *criteria):
    ec2 = aws.ec2()
    ec2.replace_image_criteria_in_allowed_images_settings(ImageCriteria=list(criteria))
    ec2.enable_allowed_images_settings(AllowedImagesSettingsState=state)


def test_allowed_images_hide_the_others_and_never_ones_own(aws):
    mine = aws.image(name="mine")
    theirs = aws.image(account=aws.other, sharedWith=[aws.account])
    allow(aws, "enabled", {"ImageProviders": ["amazon"]})
    aws.launch(mine)
    with refused("InvalidAMIID.NotFound"):
        aws.launch(theirs)
    with refused("InvalidAMIID.NotFound"):
        aws.describe(theirs)
    allow(aws, "enabled", {"ImageProviders": ["amazon", aws.other]})
    assert aws.launch(theirs)["ImageId"] == theirs


def test_allowed_images_in_audit_mode_only_tell(aws):
    theirs = aws.image(account=aws.other, sharedWith=[aws.account])
    assert "ImageAllowed" not in aws.describe(theirs)
    allow(aws, "audit-mode", {"ImageProviders": ["amazon"]})
    assert aws.describe(theirs)["ImageAllowed"] is False
    aws.launch(theirs)


def test_allowed_images_are_read_and_switched_off(aws):
    ec2 = aws.ec2()
    assert ec2.get_allowed_images_settings()["State"] == "disabled"
    criterion = {"ImageProviders": ["amazon"], "ImageNames": ["web-*"]}
    allow(aws, "enabled", criterion)
    found = ec2.get_allowed_images_settings()
    assert found["State"] == "enabled"
    assert found["ImageCriteria"] == [criterion]
    state = ec2.disable_allowed_images_settings()["AllowedImagesSettingsState"]
    assert state == "disabled"
