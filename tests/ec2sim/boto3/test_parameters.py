"""Parameter Store: https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-parameter-store.html"""

import pytest
from conftest import HERE, THERE, get, put, refused

IMAGE_TYPE = "aws:ec2:image"


def test_a_parameter_is_put_and_got(aws):
    answer = put(aws, "/web", "one")
    assert (answer["Version"], answer["Tier"]) == (1, "Standard")
    found = get(aws, "/web")
    assert (found["Name"], found["Value"], found["Version"]) == ("/web", "one", 1)
    assert found["ARN"] == f"arn:aws:ssm:{HERE}:{aws.account}:parameter/web"
    assert found["DataType"] == "text"


def test_a_parameter_lives_in_its_region_and_account(aws):
    put(aws, "/web", "one")
    with refused("ParameterNotFound", 400):
        aws.ssm(THERE).get_parameter(Name="/web")
    with refused("ParameterNotFound"):
        aws.ssm(account=aws.other).get_parameter(Name="/web")


def test_a_parameter_is_not_overwritten_unless_asked_for(aws):
    put(aws, "/web", "one")
    with refused("ParameterAlreadyExists"):
        put(aws, "/web", "two")
    assert put(aws, "/web", "two", Overwrite=True)["Version"] == 2
    assert get(aws, "/web")["Value"] == "two"


def test_tags_and_overwrite_do_not_go_together(aws):
    put(aws, "/web", "one")
    with refused("ValidationException"):
        put(aws, "/web", "two", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}])


def test_the_type_cannot_be_changed(aws):
    put(aws, "/web", "one")
    with refused("HierarchyTypeMismatchException"):
        put(aws, "/web", "two", Type="StringList", Overwrite=True)


def test_names_that_begin_like_aws_are_refused(aws):
    with refused("AccessDeniedException"):
        put(aws, "/aws/web", "one")
    with refused("ValidationException"):
        put(aws, "/ssm-web", "one")


def test_a_name_outside_the_rules_is_refused(aws):
    with refused("ValidationException"):
        put(aws, "/web site", "one")


@pytest.mark.parametrize(
    "name", ["/web site", "/web@1", "golden/web", "/web/", "/ssm-web", "SSM", "/web:1:2"]
)
def test_a_name_that_no_parameter_can_have_is_refused_when_it_is_read_or_deleted(aws, name):
    ssm = aws.ssm()
    for call in [ssm.get_parameter, ssm.get_parameter_history, ssm.delete_parameter]:
        with refused("ValidationException", 400):
            call(Name=name)
    assert ssm.get_parameters(Names=[name])["InvalidParameters"] == [name]


def test_the_refusal_of_a_name_says_what_a_name_can_be(aws):
    with refused("ValidationException") as caught:
        get(aws, "/web site")
    message = caught.value.response["Error"]["Message"]
    assert message.startswith('Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If')


def test_a_name_that_begins_with_aws_can_be_read(aws):
    with refused("ParameterNotFound"):
        get(aws, "/aws/service/web")


def test_spaces_around_a_name_are_left_out(aws):
    put(aws, "  /web ", "one")
    assert get(aws, "/web")["Value"] == "one"


def test_parameters_are_got_in_the_order_of_their_names(aws):
    for name in ["/b", "/c", "/a"]:
        put(aws, name, "x")
    found = aws.ssm().get_parameters(Names=["/c", "/a", "/b"])["Parameters"]
    assert [entry["Name"] for entry in found] == ["/a", "/b", "/c"]


def test_an_older_version_is_read_by_its_number(aws):
    put(aws, "/web", "one")
    put(aws, "/web", "two", Overwrite=True)
    found = get(aws, "/web:1")
    assert (found["Value"], found["Selector"]) == ("one", ":1")
    with refused("ParameterVersionNotFound"):
        get(aws, "/web:3")


def test_a_label_names_one_version(aws):
    put(aws, "/web", "one")
    put(aws, "/web", "two", Overwrite=True)
    ssm = aws.ssm()
    ssm.label_parameter_version(Name="/web", ParameterVersion=1, Labels=["prod"])
    assert get(aws, "/web:prod")["Value"] == "one"
    ssm.label_parameter_version(Name="/web", Labels=["prod"])
    assert get(aws, "/web:prod")["Value"] == "two"
    history = ssm.get_parameter_history(Name="/web")["Parameters"]
    assert [entry["Labels"] for entry in history] == [[], ["prod"]]


def test_a_bad_label_comes_back_as_invalid(aws):
    put(aws, "/web", "one")
    answer = aws.ssm().label_parameter_version(Name="/web", Labels=["ok", "1bad", "aws-x"])
    assert sorted(answer["InvalidLabels"]) == ["1bad", "aws-x"]
    assert get(aws, "/web:ok")["Value"] == "one"


@pytest.mark.parametrize("labels", [["l" * 101], ["ok", "l" * 101], [f"l{n}" for n in range(11)]])
def test_too_long_a_label_or_too_many_in_a_call_are_refused(aws, labels):
    put(aws, "/web", "one")
    for call in [aws.ssm().label_parameter_version, aws.ssm().unlabel_parameter_version]:
        with refused("ValidationException", 400):
            call(Name="/web", ParameterVersion=1, Labels=labels)
    aws.ssm().label_parameter_version(Name="/web", Labels=["l" * 100])


def test_only_100_versions_are_kept(aws):
    put(aws, "/web", "0")
    for number in range(1, 101):
        put(aws, "/web", str(number), Overwrite=True)
    with refused("ParameterVersionNotFound"):
        get(aws, "/web:1")
    assert get(aws, "/web:2")["Value"] == "1"


def test_a_label_on_the_oldest_version_blocks_another(aws):
    put(aws, "/web", "0")
    aws.ssm().label_parameter_version(Name="/web", Labels=["first"])
    for number in range(1, 100):
        put(aws, "/web", str(number), Overwrite=True)
    with refused("ParameterMaxVersionLimitExceeded"):
        put(aws, "/web", "100", Overwrite=True)


def test_an_image_parameter_holds_an_image_that_can_be_launched(aws):
    image = aws.image()
    put(aws, "/web", image, DataType=IMAGE_TYPE)
    found = get(aws, "/web")
    assert (found["Value"], found["DataType"]) == (image, IMAGE_TYPE)
    assert aws.launch("resolve:ssm:/web")["ImageId"] == image


def test_an_image_parameter_is_validated_after_the_answer(aws):
    image = aws.image()
    aws.configure(parameterDelay="5s")
    put(aws, "/web", image, DataType=IMAGE_TYPE)
    with refused("ParameterNotFound"):
        get(aws, "/web")
    aws.pass_time("5s")
    assert get(aws, "/web")["Value"] == image


@pytest.mark.parametrize("value", ["ami-00000000000000000", "not-an-image"])
def test_an_image_parameter_that_is_not_valid_is_never_written(aws, value):
    image = aws.image()
    put(aws, "/web", image, DataType=IMAGE_TYPE)
    answer = put(aws, "/web", value, DataType=IMAGE_TYPE, Overwrite=True)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert get(aws, "/web")["Value"] == image


def test_a_pending_image_is_not_valid_for_a_parameter(aws):
    copy = aws.copy(aws.image(), region=HERE)
    put(aws, "/web", copy, DataType=IMAGE_TYPE)
    with refused("ParameterNotFound"):
        get(aws, "/web")


def test_several_parameters_are_got_and_the_others_named(aws):
    put(aws, "/a", "1")
    put(aws, "/b", "2")
    answer = aws.ssm().get_parameters(Names=["/a", "/b", "/c"])
    assert [entry["Value"] for entry in answer["Parameters"]] == ["1", "2"]
    assert answer["InvalidParameters"] == ["/c"]


def test_parameters_are_got_by_path(aws):
    for name in ["/golden/web", "/golden/db", "/golden/eu/web", "/other"]:
        put(aws, name, "x")
    ssm = aws.ssm()

    def names(**query):
        answer = ssm.get_parameters_by_path(Path="/golden", **query)
        return [entry["Name"] for entry in answer["Parameters"]]

    assert names() == ["/golden/db", "/golden/web"]
    assert names(Recursive=True) == ["/golden/db", "/golden/eu/web", "/golden/web"]


def test_parameters_are_described_by_name(aws):
    put(aws, "/golden/web", "x", Description="of the web")
    put(aws, "/other", "x")
    query = [{"Key": "Name", "Option": "BeginsWith", "Values": ["/golden"]}]
    found = aws.ssm().describe_parameters(ParameterFilters=query)["Parameters"]
    assert [entry["Name"] for entry in found] == ["/golden/web"]
    assert found[0]["Description"] == "of the web"


def test_parameters_are_not_described_by_their_labels(aws):
    label = {"Key": "Label", "Values": ["prod"]}
    with refused("InvalidFilterKey", 400):
        aws.ssm().describe_parameters(ParameterFilters=[label])
    assert aws.ssm().get_parameters_by_path(Path="/golden", ParameterFilters=[label])
    with refused("InvalidFilterOption"):
        label["Option"] = "BeginsWith"
        aws.ssm().get_parameters_by_path(Path="/golden", ParameterFilters=[label])


def test_a_filter_is_given_once(aws):
    query = [{"Key": "Name", "Values": [name]} for name in ["/a", "/b"]]
    with refused("InvalidFilterKey", 400) as caught:
        aws.ssm().describe_parameters(ParameterFilters=query)
    assert "The following filter is duplicated in the request: Name." in str(caught.value)
    tags = [{"Key": f"tag:{key}", "Values": ["x"]} for key in "ab"]
    assert aws.ssm().describe_parameters(ParameterFilters=tags)["Parameters"] == []


def test_parameters_are_deleted(aws):
    put(aws, "/a", "1")
    ssm = aws.ssm()
    ssm.delete_parameter(Name="/a")
    with refused("ParameterNotFound"):
        get(aws, "/a")
    put(aws, "/b", "1")
    answer = ssm.delete_parameters(Names=["/b", "/c"])
    assert answer["DeletedParameters"] == ["/b"]
    assert answer["InvalidParameters"] == ["/c"]


def test_the_parameters_of_aws_are_not_deleted(aws):
    for name in ["aws-cdk-playground", "/aws/service/web"]:
        with refused("AccessDeniedException", 400):
            aws.ssm().delete_parameter(Name=name)


def test_parameters_have_tags(aws):
    ssm = aws.ssm()
    put(aws, "/a", "1", Tags=[{"Key": "team", "Value": "web"}])
    resource = {"ResourceType": "Parameter", "ResourceId": "/a"}
    ssm.add_tags_to_resource(Tags=[{"Key": "tier", "Value": "one"}], **resource)
    ssm.remove_tags_from_resource(TagKeys=["team"], **resource)
    found = ssm.list_tags_for_resource(**resource)["TagList"]
    assert found == [{"Key": "tier", "Value": "one"}]


def test_a_standard_value_has_at_most_4096_characters(aws):
    put(aws, "/a", "x" * 4096)
    with refused("ValidationException"):
        put(aws, "/b", "x" * 4097)


def test_a_value_is_as_large_as_the_tier_of_the_parameter_allows(aws):
    put(aws, "/a", "x" * 5000, Tier="Advanced")
    assert put(aws, "/a", "x" * 8192, Overwrite=True)["Tier"] == "Advanced"
    with refused("ValidationException"):
        put(aws, "/a", "x" * 8193, Overwrite=True)


@pytest.mark.parametrize("value", ["{{}}", "{{ssm:/web}}", "a {{b}} c"])
def test_a_value_does_not_nest_another_parameter(aws, value):
    with refused("ValidationException", 400) as caught:
        put(aws, "/a", value)
    assert "can't nest another parameter" in str(caught.value)
    put(aws, "/a", value.replace("}}", "} }"))


def test_a_value_must_match_the_allowed_pattern(aws):
    put(aws, "/number", "12", AllowedPattern=r"\d+")
    with refused("ParameterPatternMismatchException"):
        put(aws, "/other", "12a", AllowedPattern=r"\d+")


def test_a_label_is_taken_off(aws):
    put(aws, "/web", "one")
    ssm = aws.ssm()
    ssm.label_parameter_version(Name="/web", Labels=["prod"])
    answer = ssm.unlabel_parameter_version(Name="/web", ParameterVersion=1, Labels=["prod", "test"])
    assert answer["RemovedLabels"] == ["prod"]
    assert answer["InvalidLabels"] == ["test"]
    with refused("ParameterVersionNotFound"):
        get(aws, "/web:prod")


def test_a_version_has_at_most_ten_labels(aws):
    put(aws, "/web", "one")
    ssm = aws.ssm()
    ssm.label_parameter_version(Name="/web", Labels=[f"l{number}" for number in range(10)])
    with refused("ParameterVersionLabelLimitExceeded"):
        ssm.label_parameter_version(Name="/web", Labels=["more"])


def test_a_hierarchy_has_at_most_15_levels(aws):
    put(aws, "/a" * 15, "x")
    with refused("HierarchyLevelLimitExceededException"):
        put(aws, "/a" * 16, "x")


def test_the_history_comes_in_pages(aws):
    put(aws, "/web", "0")
    for number in range(1, 5):
        put(aws, "/web", str(number), Overwrite=True)
    paginator = aws.ssm().get_paginator("get_parameter_history")
    pages = paginator.paginate(Name="/web", PaginationConfig={"PageSize": 2})
    found = [entry["Value"] for page in pages for entry in page["Parameters"]]
    assert found == ["0", "1", "2", "3", "4"]


def test_a_parameter_is_named_by_its_arn(aws):
    put(aws, "/web", "one")
    assert get(aws, get(aws, "/web")["ARN"])["Value"] == "one"


def test_a_new_parameter_needs_a_type(aws):
    with refused("ValidationException"):
        aws.ssm().put_parameter(Name="/web", Value="one")


def test_intelligent_tiering_takes_the_tier_that_the_value_needs(aws):
    tier = {"Tier": "Intelligent-Tiering"}
    assert put(aws, "/small", "x", **tier)["Tier"] == "Standard"
    assert put(aws, "/large", "x" * 4097, **tier)["Tier"] == "Advanced"


def test_a_parameter_does_not_go_back_to_the_standard_tier(aws):
    put = {"Name": "/web", "Value": "1", "Type": "String"}
    aws.ssm().put_parameter(Tier="Advanced", **put)
    with refused("ValidationException"):
        aws.ssm().put_parameter(Tier="Standard", Overwrite=True, **put)


def test_tags_have_the_codes_of_ssm(aws):
    aws.ssm().put_parameter(Name="/web", Value="1", Type="String")
    web = {"ResourceType": "Parameter", "ResourceId": "/web"}
    with refused("TooManyTagsError"):
        aws.ssm().add_tags_to_resource(Tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)], **web)
    with refused("ValidationException"):
        aws.ssm().add_tags_to_resource(Tags=[{"Key": "aws:k", "Value": ""}], **web)


def test_a_description_has_at_most_1024_characters(aws):
    with refused("ValidationException"):
        aws.ssm().put_parameter(Name="/web", Value="1", Type="String", Description="d" * 1025)
