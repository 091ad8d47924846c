"""Tags: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"""

from conftest import NO_SUCH_IMAGE, THERE, refused, tags


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


def tag_as(aws, account, *resources, **pairs):
    listed = [{"Key": key, "Value": value} for key, value in pairs.items()]
    aws.ec2(account=account).create_tags(Resources=list(resources), Tags=listed)


def test_tags_that_others_give_to_a_shared_image_only_they_see(aws):
    """Those of the owner they see only where these are marked as shared."""
    image = aws.image(tags={"team": "web", "ec2:SharedTag/a": "1"}, public=True)
    tag_as(aws, aws.other, image, team="db")
    found = aws.describe(image, account=aws.other)["Tags"]
    assert {t["Key"]: t["Value"] for t in found} == {"team": "db", "ec2:SharedTag/a": "1"}
    found = aws.describe(image)["Tags"]
    assert {t["Key"]: t["Value"] for t in found} == {"team": "web", "ec2:SharedTag/a": "1"}
    found = aws.describe(image, account="999999999999")["Tags"]
    assert found == [{"Key": "ec2:SharedTag/a", "Value": "1"}]


def test_tags_that_others_give_are_found_by_them_alone(aws):
    image = aws.image(sharedWith=[aws.other])
    tag_as(aws, aws.other, image, team="db")
    for name, value in [("tag:team", "db"), ("tag-key", "team")]:
        query = [{"Name": name, "Values": [value]}]
        counts = [
            len(aws.ec2(account=account).describe_images(Filters=query, Owners=[aws.account])["Images"])
            for account in [aws.other, aws.account]
        ]
        assert counts == [1, 0]
    listed = aws.ec2(account=aws.other).describe_tags()["Tags"]
    assert [(t["ResourceId"], t["ResourceType"]) for t in listed] == [(image, "image")]
    assert found(aws, image) == {}


def test_others_tag_a_shared_snapshot_for_themselves(aws):
    image = aws.image(sharedWith=[aws.other], shareSnapshots=True)
    [snapshot] = aws.snapshots(image)
    tag_as(aws, aws.other, snapshot, team="db")
    theirs = aws.ec2(account=aws.other).describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert theirs["Tags"] == [{"Key": "team", "Value": "db"}]
    assert "Tags" not in aws.ec2().describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    query = [{"Name": "tag:team", "Values": ["db"]}]
    assert aws.ec2().describe_snapshots(Filters=query)["Snapshots"] == []
    assert len(aws.ec2(account=aws.other).describe_snapshots(Filters=query)["Snapshots"]) == 1


def test_owner_and_others_delete_only_their_own_tags(aws):
    image = aws.image(sharedWith=[aws.other], tags={"team": "web"})
    tag_as(aws, aws.other, image, team="db")
    aws.ec2().delete_tags(Resources=[image])
    assert aws.describe(image, account=aws.other)["Tags"] == [{"Key": "team", "Value": "db"}]
    tag(aws, image, team="web")
    aws.ec2(account=aws.other).delete_tags(Resources=[image], Tags=[{"Key": "team"}])
    assert "Tags" not in aws.describe(image, account=aws.other)
    assert found(aws, image) == {"team": "web"}


def test_tags_of_others_are_not_shown_once_the_image_is_not_shared_with_them(aws):
    image = aws.image(sharedWith=[aws.other])
    tag_as(aws, aws.other, image, team="db")
    remove = {"Remove": [{"UserId": aws.other}]}
    aws.ec2().modify_image_attribute(ImageId=image, LaunchPermission=remove)
    assert aws.ec2(account=aws.other).describe_tags()["Tags"] == []
    with refused("InvalidAMIID.NotFound"):
        tag_as(aws, aws.other, image, team="db")


def test_what_is_not_shared_others_cannot_tag(aws):
    image = aws.image()
    with refused("InvalidAMIID.NotFound"):
        tag_as(aws, aws.other, image, team="db")
    with refused("InvalidSnapshot.NotFound"):
        tag_as(aws, aws.other, *aws.snapshots(image), team="db")


def test_a_copy_gets_the_tags_that_the_copying_account_gave(aws):
    image = aws.image(sharedWith=[aws.other], shareSnapshots=True, tags={"team": "web"})
    tag_as(aws, aws.other, image, tier="one")
    copy = aws.copy(image, account=aws.other, CopyImageTags=True)
    found = aws.describe(copy, THERE, account=aws.other)["Tags"]
    assert found == [{"Key": "tier", "Value": "one"}]
