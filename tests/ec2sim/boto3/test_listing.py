"""DescribeImages: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html"""

import boto3
import pytest
from conftest import HERE, NO_SUCH_IMAGE, THERE, URL, refused, tags


def names(images):
    return sorted(image["Name"] for image in images)


def listed(aws, account=None, **query):
    return names(aws.ec2(account=account).describe_images(**query)["Images"])


def filtered(aws, name, *values):
    query = [{"Name": name, "Values": list(values)}]
    return listed(aws, Owners=["self"], Filters=query)


def test_an_image_has_its_documented_members(aws):
    image = aws.image(name="web-1", description="of the web", volumeSize=9)
    found = aws.describe(image)
    assert found["ImageId"] == image
    assert found["Name"] == "web-1"
    assert found["Description"] == "of the web"
    assert found["OwnerId"] == aws.account
    assert found["State"] == "available"
    assert found["Public"] is False
    assert found["ImageType"] == "machine"
    assert found["ImageLocation"] == f"{aws.account}/web-1"
    assert found["Architecture"] == "x86_64"
    assert found["RootDeviceType"] == "ebs"
    assert found["VirtualizationType"] == "hvm"
    assert found["Hypervisor"] == "xen"
    assert found["CreationDate"].endswith("Z")
    assert found["PlatformDetails"] == "Linux/UNIX"
    assert found["UsageOperation"] == "RunInstances"
    assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 9


def test_a_name_filter_takes_wildcards(aws):
    for name in ["web-1", "web-2", "db-1"]:
        aws.image(name=name)
    assert filtered(aws, "name", "web-*") == ["web-1", "web-2"]
    assert filtered(aws, "name", "??-1") == ["db-1"]


def test_a_backslash_takes_a_wildcard_as_it_is(aws):
    aws.image(name="web-1", description="all * of it")
    aws.image(name="web-2", description="all 7 of it")
    assert filtered(aws, "description", r"all \* of it") == ["web-1"]


def test_filter_values_are_case_sensitive(aws):
    aws.image(name="Web")
    assert filtered(aws, "name", "web") == []


def test_values_of_a_filter_are_alternatives_and_filters_are_joined(aws):
    aws.image(name="web-1", tags={"team": "a"})
    aws.image(name="web-2", tags={"team": "b"})
    aws.image(name="web-3", tags={"team": "c"})
    query = [
        {"Name": "tag:team", "Values": ["a", "b"]},
        {"Name": "name", "Values": ["web-2", "web-3"]},
    ]
    assert listed(aws, Owners=["self"], Filters=query) == ["web-2"]


def test_the_tag_key_filter_needs_no_value(aws):
    aws.image(name="web-1", tags={"team": "a"})
    aws.image(name="web-2", tags={"cost": "a"})
    assert filtered(aws, "tag-key", "team") == ["web-1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architecture", "x86_64"),
        ("block-device-mapping.delete-on-termination", "true"),
        ("block-device-mapping.device-name", "/dev/xvda"),
        ("block-device-mapping.encrypted", "false"),
        ("block-device-mapping.volume-size", "11"),
        ("block-device-mapping.volume-type", "gp3"),
        ("boot-mode", "uefi-preferred"),
        ("creation-date", "2*"),
        ("description", "of the web"),
        ("ena-support", "true"),
        ("hypervisor", "xen"),
        ("image-type", "machine"),
        ("is-public", "false"),
        ("name", "web-1"),
        ("root-device-name", "/dev/xvda"),
        ("root-device-type", "ebs"),
        ("sriov-net-support", "simple"),
        ("state", "available"),
        ("virtualization-type", "hvm"),
    ],
)
def test_each_documented_filter_finds_what_has_its_value(aws, name, value):
    aws.image(name="web-1", description="of the web", volumeSize=11)
    assert filtered(aws, name, value) == ["web-1"]
    assert filtered(aws, name, "nothing-has-this") == []


def test_filters_by_id_owner_and_snapshot(aws):
    image = aws.image(name="web-1")
    aws.image(name="web-2")
    assert filtered(aws, "image-id", image) == ["web-1"]
    assert filtered(aws, "owner-id", aws.account) == ["web-1", "web-2"]
    snapshot = aws.snapshots(image)[0]
    assert filtered(aws, "block-device-mapping.snapshot-id", snapshot) == ["web-1"]


def test_an_unknown_filter_is_refused(aws):
    with refused("InvalidParameterValue", 400) as caught:
        filtered(aws, "colour", "red")
    assert "'colour' is invalid" in str(caught.value)


def test_a_malformed_image_id_is_refused(aws):
    for malformed in ["web", "ami-xyz", "ami-123", "snap-00000000000000000"]:
        with refused("InvalidAMIID.Malformed", 400):
            aws.describe(malformed)


def test_an_image_that_does_not_exist_is_not_found(aws):
    with refused("InvalidAMIID.NotFound", 400) as caught:
        aws.describe(NO_SUCH_IMAGE)
    assert f"The image id '[{NO_SUCH_IMAGE}]' does not exist" in str(caught.value)


def test_one_missing_id_refuses_the_whole_call(aws):
    image = aws.image()
    with refused("InvalidAMIID.NotFound"):
        aws.ec2().describe_images(ImageIds=[image, NO_SUCH_IMAGE])


def test_an_image_is_found_only_in_its_region(aws):
    image = aws.image(region=HERE)
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image, THERE)


def test_owners_choose_by_account_self_and_alias(aws):
    aws.image(name="mine")
    aws.image(name="theirs", account=aws.other, sharedWith=[aws.account])
    vendor = aws.image(name="vendor", account=aws.other, ownerAlias="amazon", public=True)
    assert listed(aws, Owners=["self"]) == ["mine"]
    assert listed(aws, Owners=[aws.other]) == ["theirs", "vendor"]
    assert listed(aws, Owners=["amazon"], ImageIds=[vendor]) == ["vendor"]


def test_images_that_are_not_shared_are_invisible_to_others(aws):
    image = aws.image(name="mine")
    assert listed(aws, aws.other, Owners=[aws.account]) == []
    with refused("InvalidAMIID.NotFound"):
        aws.describe(image, account=aws.other)


def test_executable_users_finds_what_is_shared_explicitly(aws):
    aws.image(name="mine")
    aws.image(name="shared", sharedWith=[aws.other])
    assert listed(aws, Owners=["self"], ExecutableUsers=[aws.other]) == ["shared"]
    assert listed(aws, aws.other, ExecutableUsers=["self"]) == ["shared"]


def test_executable_users_all_finds_public_images(aws):
    aws.image(name="mine")
    aws.image(name="public", public=True)
    assert listed(aws, Owners=["self"], ExecutableUsers=["all"]) == ["public"]


def test_pages_neither_lose_nor_repeat_an_image(aws):
    for number in range(12):
        aws.image(name=f"web-{number:02}")
    paginator = aws.ec2().get_paginator("describe_images")
    pages = list(paginator.paginate(Owners=["self"], PaginationConfig={"PageSize": 5}))
    assert [len(page["Images"]) for page in pages] == [5, 5, 2]
    found = names(image for page in pages for image in page["Images"])
    assert found == [f"web-{number:02}" for number in range(12)]


def test_a_page_keeps_its_place_when_images_come_and_go(aws):
    for number in range(10):
        aws.image(name=f"web-{number}")
    ec2 = aws.ec2()
    first = ec2.describe_images(Owners=["self"], MaxResults=5)
    ec2.deregister_image(ImageId=first["Images"][0]["ImageId"])
    second = ec2.describe_images(Owners=["self"], MaxResults=5, NextToken=first["NextToken"])
    found = names(first["Images"] + second["Images"])
    assert found == [f"web-{number}" for number in range(10)]


def test_a_page_size_and_ids_do_not_go_together(aws):
    with refused("InvalidParameterCombination"):
        aws.ec2().describe_images(ImageIds=[aws.image()], MaxResults=5)


def test_a_page_size_beyond_1000_is_refused(aws):
    with refused("InvalidParameterValue"):
        aws.ec2().describe_images(MaxResults=1001)


def test_a_token_that_was_not_given_out_is_refused(aws):
    with refused("InvalidNextToken"):
        aws.ec2().describe_images(NextToken="zz", MaxResults=5)


def test_a_dry_run_says_that_the_call_would_have_succeeded(aws):
    with refused("DryRunOperation", 412) as caught:
        aws.ec2().describe_images(DryRun=True)
    assert "Request would have succeeded, but DryRun flag is set" in str(caught.value)


def test_a_dry_run_changes_nothing(aws):
    image = aws.image()
    with refused("DryRunOperation"):
        aws.ec2().deregister_image(ImageId=image, DryRun=True)
    assert aws.state(image) == "available"


def test_a_list_can_show_new_images_late(aws):
    source = aws.image()
    aws.configure(lateListing="5s")
    copy = aws.copy(source)
    with refused("InvalidAMIID.NotFound"):
        aws.describe(copy, THERE)
    aws.pass_time("5s")
    assert aws.state(copy, THERE) == "pending"


def test_a_marketplace_image_shows_its_product_codes(aws):
    aws.image(name="market", machine={"productCodes": ["abc123"]})
    assert filtered(aws, "product-code", "abc123") == ["market"]
    found = aws.ec2().describe_images(Owners=["self"])["Images"][0]
    assert found["ProductCodes"] == [{"ProductCodeId": "abc123", "ProductCodeType": "marketplace"}]


def test_a_windows_image_says_so(aws):
    image = aws.image(machine={"platformDetails": "Windows"})
    found = aws.describe(image)
    assert found["Platform"] == "windows"
    assert found["UsageOperation"] == "RunInstances:0002"
    assert len(filtered(aws, "platform", "windows")) == 1


def test_register_image_makes_an_image_of_a_snapshot(aws):
    snapshot = aws.snapshots(aws.image(volumeSize=12))[0]
    image = aws.ec2().register_image(
        Name="registered",
        Architecture="arm64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        EnaSupport=True,
        ImdsSupport="v2.0",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
        TagSpecifications=[tags("image", team="web")],
    )["ImageId"]
    found = aws.describe(image)
    assert (found["State"], found["Architecture"]) == ("available", "arm64")
    assert found["ImdsSupport"] == "v2.0"
    assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 12
    assert found["Tags"] == [{"Key": "team", "Value": "web"}]


def test_register_image_needs_a_root_device_with_a_snapshot(aws):
    with refused("InvalidBlockDeviceMapping"):
        aws.ec2().register_image(Name="registered", RootDeviceName="/dev/xvda")


def test_register_image_refuses_a_volume_smaller_than_its_snapshot(aws):
    snapshot = aws.snapshots(aws.image(volumeSize=12))[0]
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}
    with refused("InvalidBlockDeviceMapping"):
        aws.ec2().register_image(
            Name="registered", RootDeviceName="/dev/xvda", BlockDeviceMappings=[device]
        )


def test_register_image_refuses_a_snapshot_that_does_not_exist(aws):
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": "snap-00000000000000000"}}
    with refused("InvalidSnapshot.NotFound"):
        aws.ec2().register_image(
            Name="registered", RootDeviceName="/dev/xvda", BlockDeviceMappings=[device]
        )


def test_an_account_may_hold_only_so_many_images(aws):
    source = aws.image(name="web-1")
    aws.configure(images=1)
    with refused("ResourceLimitExceeded"):
        aws.copy(source, region=HERE)


def test_images_can_be_used_through_the_resource_interface(aws):
    image = aws.image(name="web-1", tags={"team": "web"})
    ec2 = boto3.resource(
        "ec2",
        region_name=HERE,
        endpoint_url=URL,
        aws_access_key_id=aws.account,
        aws_secret_access_key="secret",
    )
    found = ec2.Image(image)
    assert (found.name, found.tags) == ("web-1", [{"Key": "team", "Value": "web"}])
    assert [i.id for i in ec2.images.filter(Owners=["self"])] == [image]


@pytest.mark.parametrize(
    "member",
    [
        {"Architecture": "z80"},
        {"VirtualizationType": "dream"},
        {"BootMode": "shoe"},
        {"TpmSupport": "v2.0"},
    ],
)
def test_register_image_refuses_what_no_image_can_be(aws, member):
    snapshot = aws.snapshots(aws.image())[0]
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}
    code = "InvalidParameterCombination" if "TpmSupport" in member else "InvalidParameterValue"
    with refused(code):
        aws.ec2().register_image(
            Name="registered", RootDeviceName="/dev/xvda", BlockDeviceMappings=[device], **member
        )


def test_pages_of_images_can_be_as_small_as_one(aws):
    for number in range(3):
        aws.image(name=f"web-{number}")
    paginator = aws.ec2().get_paginator("describe_images")
    pages = paginator.paginate(Owners=["self"], PaginationConfig={"PageSize": 1})
    assert [len(page["Images"]) for page in pages] == [1, 1, 1]


@pytest.mark.parametrize(
    "members",
    [{"Owners": ["somebody"]}, {"ExecutableUsers": ["somebody"]}],
)
def test_a_user_is_an_account_or_a_known_word(aws, members):
    with refused("InvalidUserID.Malformed"):
        aws.ec2().describe_images(**members)


def test_the_same_id_twice_is_one_image(aws):
    image = aws.image()
    assert len(aws.ec2().describe_images(ImageIds=[image, image])["Images"]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "image-watermark.source-image-id",
        "instance-type-specification.supported-instance-type",
        "public-ssm-parameter-name",
        "scan-result.highest-finding-severity-label",
    ],
)
def test_what_images_here_never_have_can_be_asked_for(aws, name):
    aws.image()
    filters = [{"Name": name, "Values": ["*"]}]
    assert aws.ec2().describe_images(Owners=["self"], Filters=filters)["Images"] == []


def test_images_are_found_by_whether_they_are_allowed(aws):
    theirs = aws.image(account=aws.other, public=True)
    ec2 = aws.ec2()
    ec2.replace_image_criteria_in_allowed_images_settings(ImageCriteria=[{"ImageProviders": ["amazon"]}])
    ec2.enable_allowed_images_settings(AllowedImagesSettingsState="audit-mode")

    def allowed(value):
        filters = [{"Name": "image-allowed", "Values": [value]}]
        found = ec2.describe_images(Owners=[aws.other], Filters=filters)["Images"]
        return [image["ImageId"] for image in found]

    assert (allowed("true"), allowed("false")) == ([], [theirs])
