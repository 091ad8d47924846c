"""Tags: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"""

from conftest import NO_SUCH_IMAGE, refused, tags


def tag(aws, *resources, **pairs):
    listed = [{"Key": key, "Value": value} for key, value in pairs.items()]
    aws.ec2().create_tags(Resources=list(resources), Tags=listed)


def found(aws, resource):
    query = [{"Name": "resource-id", "Values": [resource]}]
    answer = aws.ec2().describe_tags(Filters=query)["Tags"]
    return {entry["Key"]: entry["Value"] for entry in answer}


def test_tags_are_added_and_overwritten(aws):
    image = aws.image(tags={"team": "web"})
    tag(aws, image, team="db", tier="one")
    assert found(aws, image) == {"team": "db", "tier": "one"}


def test_an_image_and_its_snapshots_are_tagged_in_one_call(aws):
    image = aws.image(volumes=2)
    tag(aws, image, *aws.snapshots(image), team="web")
    query = [{"Name": "key", "Values": ["team"]}]
    kinds = [t["ResourceType"] for t in aws.ec2().describe_tags(Filters=query)["Tags"]]
    assert sorted(kinds) == ["image", "snapshot", "snapshot"]


def test_one_missing_resource_refuses_the_whole_call(aws):
    image = aws.image()
    with refused("InvalidAMIID.NotFound"):
        tag(aws, image, NO_SUCH_IMAGE, team="web")
    assert found(aws, image) == {}


def test_what_is_no_resource_is_refused(aws):
    with refused("InvalidID"):
        tag(aws, "thing-1", team="web")


def test_keys_that_begin_with_aws_are_reserved(aws):
    image = aws.image()
    for key in ["aws:team", "AWS:team"]:
        with refused("InvalidParameterValue"):
            tag(aws, image, **{key: "web"})


def test_a_key_has_at_most_127_characters_and_a_value_256(aws):
    image = aws.image()
    tag(aws, image, **{"k" * 127: "v" * 256})
    with refused("InvalidParameterValue"):
        tag(aws, image, **{"k" * 128: "v"})
    with refused("InvalidParameterValue"):
        tag(aws, image, k="v" * 257)


def test_a_key_is_given_once_in_a_call(aws):
    pair = {"Key": "team", "Value": "web"}
    with refused("InvalidParameterValue"):
        aws.ec2().create_tags(Resources=[aws.image()], Tags=[pair, pair])


def test_a_resource_has_at_most_50_tags(aws):
    image = aws.image()
    tag(aws, image, **{f"k{number}": "v" for number in range(50)})
    with refused("TagLimitExceeded"):
        tag(aws, image, more="v")
    tag(aws, image, k1="other")


def test_tags_of_a_specification_keep_to_the_limit_too(aws):
    many = tags("image", **{f"k{number}": "v" for number in range(51)})
    with refused("TagLimitExceeded"):
        aws.copy(aws.image(), TagSpecifications=[many])


def test_a_specification_without_tags_is_refused(aws):
    with refused("InvalidParameterValue"):
        aws.copy(aws.image(), TagSpecifications=[{"ResourceType": "image", "Tags": []}])


def test_a_type_is_specified_once(aws):
    with refused("InvalidParameterValue"):
        aws.copy(aws.image(), TagSpecifications=[tags("image", a="1"), tags("image", b="2")])


def test_a_tag_is_deleted_by_its_key(aws):
    image = aws.image(tags={"team": "web", "tier": "one"})
    aws.ec2().delete_tags(Resources=[image], Tags=[{"Key": "team"}])
    assert found(aws, image) == {"tier": "one"}


def test_a_tag_is_deleted_with_a_value_only_if_it_has_that(aws):
    image = aws.image(tags={"team": "web"})
    ec2 = aws.ec2()
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "team", "Value": ""}])
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "team", "Value": "db"}])
    assert found(aws, image) == {"team": "web"}
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "team", "Value": "web"}])
    assert found(aws, image) == {}


def test_deleting_without_tags_deletes_all(aws):
    image = aws.image(tags={"team": "web", "tier": "one"})
    aws.ec2().delete_tags(Resources=[image])
    assert found(aws, image) == {}


def test_deleting_a_tag_that_is_not_there_is_no_error(aws):
    aws.ec2().delete_tags(Resources=[aws.image()], Tags=[{"Key": "team"}])


def test_others_cannot_tag_a_shared_image(aws):
    image = aws.image(sharedWith=[aws.other])
    with refused("AuthFailure"):
        aws.ec2(account=aws.other).create_tags(Resources=[image], Tags=[{"Key": "a", "Value": "b"}])


def test_tags_are_filtered_by_key_value_and_type(aws):
    image = aws.image(tags={"team": "web", "tier": "one"}, volumes=0)
    queries = [("key", "team"), ("value", "web"), ("tag:team", "web")]
    for name, value in queries:
        query = [{"Name": name, "Values": [value]}]
        answer = aws.ec2().describe_tags(Filters=query)["Tags"]
        assert [(entry["ResourceId"], entry["Key"]) for entry in answer] == [(image, "team")]
    query = [{"Name": "resource-type", "Values": ["snapshot"]}]
    assert aws.ec2().describe_tags(Filters=query)["Tags"] == []


def test_special_characters_survive(aws):
    image = aws.image()
    value = 'a<b>&"c"\' ü 日本 %+='
    tag(aws, image, note=value)
    assert aws.describe(image)["Tags"] == [{"Key": "note", "Value": value}]


def test_new_tags_can_be_seen_late(aws):
    image = aws.image()
    aws.configure(lateTags="5s")
    tag(aws, image, team="web")
    assert found(aws, image) == {}
    aws.pass_time("5s")
    assert found(aws, image) == {"team": "web"}
