"""Regions, credentials, limits, and how errors look."""

import pytest
from botocore.exceptions import HTTPClientError
from conftest import HERE, admin, refused


def test_regions_are_those_that_are_enabled(aws):
    names = [r["RegionName"] for r in aws.ec2().describe_regions()["Regions"]]
    assert HERE in names
    assert "me-south-1" not in names


def test_all_regions_include_those_to_opt_in_to(aws):
    regions = aws.ec2().describe_regions(AllRegions=True)["Regions"]
    found = {region["RegionName"]: region for region in regions}
    assert found["me-south-1"]["OptInStatus"] == "not-opted-in"
    assert found[HERE]["OptInStatus"] == "opt-in-not-required"
    assert found[HERE]["Endpoint"] == f"ec2.{HERE}.amazonaws.com"


def test_regions_are_filtered(aws):
    query = [{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}]
    regions = aws.ec2().describe_regions(AllRegions=True, Filters=query)["Regions"]
    assert len(regions) == 17


def test_a_region_that_is_not_enabled_refuses_every_call(aws):
    with refused("AuthFailure", 401):
        aws.ec2("me-south-1").describe_images()
    with refused("UnrecognizedClientException"):
        aws.ssm("me-south-1").get_parameter(Name="/a")


def test_no_credentials_are_valid_in_a_region_that_is_not_enabled(aws):
    sts = aws.client("sts", "me-south-1")
    with refused("InvalidClientTokenId", 403):
        sts.get_caller_identity()
    with refused("InvalidClientTokenId", 403):
        role = f"arn:aws:iam::{aws.account}:role/amiops"
        sts.assume_role(RoleArn=role, RoleSessionName="session")


def test_a_region_answers_once_it_is_enabled(aws):
    admin("POST", "regions", {"region": "af-south-1", "optIn": "opted-in"})
    assert aws.ec2("af-south-1").describe_images(Owners=["self"])["Images"] == []
    admin("POST", "regions", {"region": "af-south-1", "optIn": "not-opted-in"})


def test_a_region_can_be_enabled_for_one_account(aws):
    change = {"region": "il-central-1", "optIn": "opted-in", "account": aws.account}
    admin("POST", "regions", change)
    assert aws.ec2("il-central-1").describe_images(Owners=["self"])["Images"] == []
    with refused("AuthFailure", 401):
        aws.ec2("il-central-1", aws.other).describe_images()
    regions = aws.ec2().describe_regions(RegionNames=["il-central-1"])["Regions"]
    assert regions[0]["OptInStatus"] == "opted-in"


def test_zones_are_those_of_the_region(aws):
    zones = aws.ec2().describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == [f"{HERE}{letter}" for letter in "abc"]


def test_zones_are_named_by_name_and_id(aws):
    describe = aws.ec2().describe_availability_zones
    for query in [{"ZoneNames": [f"{HERE}b"]}, {"ZoneIds": ["use1-az2"]}]:
        assert [zone["ZoneName"] for zone in describe(**query)["AvailabilityZones"]] == [f"{HERE}b"]


@pytest.mark.parametrize(
    "query, what",
    [
        ({"ZoneNames": ["us-east-1q"]}, "zone: [us-east-1q]"),
        ({"ZoneNames": ["us-east-1a", "eu-west-1a"]}, "zone: [eu-west-1a]"),
        ({"ZoneIds": ["use1-az9"]}, "zone-id: [use1-az9]"),
    ],
)
def test_a_zone_that_is_not_there_is_refused(aws, query, what):
    with refused("InvalidParameterValue", 400) as caught:
        aws.ec2().describe_availability_zones(**query)
    assert f"Invalid availability {what}" in str(caught.value)


def test_the_caller_is_the_account_of_the_key(aws):
    caller = aws.client("sts").get_caller_identity()
    assert caller["Account"] == aws.account
    assert caller["Arn"].startswith(f"arn:aws:iam::{aws.account}:")


def test_an_assumed_role_acts_in_its_account(aws):
    role = f"arn:aws:iam::{aws.other}:role/amiops"
    answer = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="session")
    given = answer["Credentials"]
    credentials = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    caller = aws.client("sts", **credentials).get_caller_identity()
    assert caller["Account"] == aws.other
    assert caller["Arn"] == f"arn:aws:sts::{aws.other}:assumed-role/amiops/session"
    image = aws.image(account=aws.other)
    ec2 = aws.client("ec2", **credentials)
    assert ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"] == image


def test_an_unknown_operation_is_refused(aws):
    with refused("InvalidAction"):
        aws.ec2().describe_nat_gateways()


def test_an_error_names_its_request(aws):
    with refused("InvalidAMIID.NotFound") as caught:
        aws.describe("ami-00000000000000000")
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_a_denied_call_is_unauthorized(aws):
    aws.fault("deny", operation="DescribeImages", account=aws.account)
    with refused("UnauthorizedOperation", 403) as caught:
        aws.ec2().describe_images()
    assert "You are not authorized to perform this operation." in str(caught.value)


def test_a_throttled_call_is_refused_with_503(aws):
    aws.fault("throttle", account=aws.account, times=1)
    with refused("RequestLimitExceeded", 503):
        aws.ec2().describe_images()
    aws.ec2().describe_images(Owners=["self"])


def test_a_region_that_is_down_closes_the_connection(aws):
    aws.fault("regionDown", account=aws.account)
    with pytest.raises(HTTPClientError):
        aws.ec2().describe_images()


def test_copies_beyond_the_rate_are_refused_and_the_bucket_fills_again(aws):
    source = aws.image()
    aws.configure(requestLimits=True, copiesInFlight=1000)
    # The world's time goes on while the calls are made: a token or two may come back.
    with refused("RequestLimitExceeded", 503):
        for number in range(130):
            aws.copy(source, f"copy-{number}")
    aws.pass_time("2s")
    aws.copy(source, "one-more")


def test_the_rate_of_one_account_does_not_bind_another(aws):
    aws.configure(requestLimits=True)
    with refused("RequestLimitExceeded"):
        for _ in range(200):
            aws.ec2().enable_ebs_encryption_by_default()
    aws.ec2(account=aws.other).enable_ebs_encryption_by_default()


def test_writes_of_parameters_are_rarer_than_reads(aws):
    ssm = aws.ssm()
    ssm.put_parameter(Name="/a", Value="x", Type="String")
    aws.configure(requestLimits=True)
    with refused("ThrottlingException", 400):
        for _ in range(20):
            ssm.put_parameter(Name="/a", Value="x", Overwrite=True)
    for _ in range(20):
        ssm.get_parameter(Name="/a")


def test_the_log_of_calls_tells_who_asked_what(aws):
    aws.ec2().describe_images(Owners=["self"])
    call = [c for c in admin("GET", "calls") if c["account"] == aws.account][-1]
    assert (call["operation"], call["region"], call["code"]) == ("DescribeImages", HERE, "OK")
    assert call["params"] == {"Owner.1": "self"}


@pytest.mark.parametrize("service, call", [("ssm", "describe_parameters"), ("kms", "list_keys"), ("sts", "get_caller_identity")])
def test_every_service_names_its_requests(aws, service, call):
    answer = getattr(aws.client(service), call)()
    assert answer["ResponseMetadata"]["RequestId"]


def test_a_session_is_named_by_a_few_signs(aws):
    role = f"arn:aws:iam::{aws.other}:role/images"
    with refused("ValidationError"):
        aws.client("sts").assume_role(RoleArn=role, RoleSessionName="two words")


def test_allowed_images_criteria_name_known_providers(aws):
    replace = aws.ec2().replace_image_criteria_in_allowed_images_settings
    with refused("InvalidParameterValue"):
        replace(ImageCriteria=[{"ImageProviders": ["somebody"]}])
    with refused("InvalidParameterValue"):
        replace(ImageCriteria=[{"ImageProviders": ["amazon"]}] * 11)


def test_a_criterion_of_allowed_images_keeps_to_the_documented_lengths(aws):
    replace = aws.ec2().replace_image_criteria_in_allowed_images_settings
    for criterion in [
        {"ImageProviders": ["none", aws.account]},
        {"ImageNames": ["n" * 129]},
        {"ImageNames": ["a?"]},
        {"ImageNames": ["a:b"]},
        {"MarketplaceProductCodes": ["c" * 26]},
        {"MarketplaceProductCodes": ["a-b"]},
    ]:
        with refused("InvalidParameterValue", 400):
            replace(ImageCriteria=[criterion])
    longest = {"ImageNames": ["n" * 128, "a?b", "*"], "MarketplaceProductCodes": ["c" * 25]}
    replace(ImageCriteria=[{"ImageProviders": ["none"]}, longest])


@pytest.mark.parametrize(
    "call",
    ["images", "snapshots", "volumes", "instances", "tags", "launch_templates", "security_groups"],
)
def test_the_filters_of_a_call_have_at_most_200_values(aws, call):
    describe = getattr(aws.ec2(), f"describe_{call}")
    half = [str(number) for number in range(100)]
    filters = [{"Name": "tag:a", "Values": half}, {"Name": "tag-key", "Values": half}]
    describe(Filters=filters)
    with refused("FilterLimitExceeded", 400):
        describe(Filters=[*filters, {"Name": "tag:b", "Values": ["one more"]}])


@pytest.mark.parametrize("call", ["images", "snapshots", "tags"])
def test_a_call_has_at_most_50_filters(aws, call):
    describe = getattr(aws.ec2(), f"describe_{call}")
    filters = [{"Name": f"tag:{number}", "Values": ["a"]} for number in range(50)]
    describe(Filters=filters)
    with refused("FilterLimitExceeded", 400):
        describe(Filters=[*filters, {"Name": "tag-key", "Values": ["a"]}])


def test_values_of_filters_that_need_the_moment_count_too(aws):
    many = {"Name": "progress", "Values": ["100%"] * 150}
    with refused("FilterLimitExceeded"):
        aws.ec2().describe_snapshots(Filters=[many, {"Name": "tag-key", "Values": ["a"] * 51}])


def test_a_filter_value_has_at_most_255_characters(aws):
    ec2 = aws.ec2()
    ec2.describe_images(Filters=[{"Name": "name", "Values": ["n" * 255]}])
    with refused("FilterLimitExceeded", 400):
        ec2.describe_images(Filters=[{"Name": "name", "Values": ["n" * 256]}])
