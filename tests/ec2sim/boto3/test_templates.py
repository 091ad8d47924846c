"""Launch templates, and what refers to an image."""

import pytest
from conftest import HERE, refused, tags


def create(aws, image, name="web", **more):
    data = {"ImageId": image, "InstanceType": "t3.micro"}
    answer = aws.ec2().create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data, **more
    )
    return answer["LaunchTemplate"]


def add(aws, **data):
    answer = aws.ec2().create_launch_template_version(
        LaunchTemplateName="web", SourceVersion="$Latest", LaunchTemplateData=data
    )
    return answer["LaunchTemplateVersion"]


def versions(aws, **query):
    answer = aws.ec2().describe_launch_template_versions(**query)
    return [entry["VersionNumber"] for entry in answer["LaunchTemplateVersions"]]


def launch(aws, **choice):
    choice = {"LaunchTemplateName": "web", **choice}
    answer = aws.ec2().run_instances(LaunchTemplate=choice, MinCount=1, MaxCount=1)
    return answer["Instances"][0]


def references(aws, image, **query):
    query = query or {"IncludeAllResourceTypes": True}
    answer = aws.ec2().describe_image_references(ImageIds=[image], **query)
    return [(entry["ResourceType"], entry["Arn"]) for entry in answer["ImageReferences"]]


def report(aws, image, **more):
    types = [{"ResourceType": "ec2:Instance"}, {"ResourceType": "ec2:LaunchTemplate"}]
    more = {"ResourceTypes": types, **more}
    return aws.ec2().create_image_usage_report(ImageId=image, **more)["ReportId"]


def entries(aws, name):
    answer = aws.ec2().describe_image_usage_report_entries(ReportIds=[name])
    return [
        (entry["AccountId"], entry["ResourceType"], entry["UsageCount"])
        for entry in answer["ImageUsageReportEntries"]
    ]


def test_a_template_begins_with_version_1(aws):
    made = create(aws, aws.image(), TagSpecifications=[tags("launch-template", team="web")])
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (1, 1)
    assert made["Tags"] == [{"Key": "team", "Value": "web"}]


def test_a_new_version_inherits_and_does_not_become_the_default(aws):
    first, second = aws.image(name="one"), aws.image(name="two")
    create(aws, first)
    made = add(aws, ImageId=second)
    assert made["LaunchTemplateData"] == {"ImageId": second, "InstanceType": "t3.micro"}
    found = aws.ec2().describe_launch_templates()["LaunchTemplates"][0]
    assert (found["DefaultVersionNumber"], found["LatestVersionNumber"]) == (1, 2)


def test_a_launch_uses_the_default_version_unless_another_is_named(aws):
    first, second = aws.image(name="one"), aws.image(name="two")
    create(aws, first)
    add(aws, ImageId=second)
    assert launch(aws)["ImageId"] == first
    assert launch(aws, Version="$Latest")["ImageId"] == second
    aws.ec2().modify_launch_template(LaunchTemplateName="web", DefaultVersion="2")
    assert launch(aws)["ImageId"] == second


def test_the_call_wins_over_the_template(aws):
    create(aws, aws.image())
    answer = aws.ec2().run_instances(
        LaunchTemplate={"LaunchTemplateName": "web"},
        InstanceType="m7i.large",
        MinCount=1,
        MaxCount=1,
    )
    assert answer["Instances"][0]["InstanceType"] == "m7i.large"


def test_a_template_tags_what_it_launches(aws):
    data = {"ImageId": aws.image(), "TagSpecifications": [tags("instance", team="web")]}
    aws.ec2().create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    assert {"Key": "team", "Value": "web"} in launch(aws)["Tags"]


def test_a_template_name_is_taken_once(aws):
    image = aws.image()
    create(aws, image)
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        create(aws, image)


def test_the_same_client_token_makes_one_template(aws):
    image = aws.image()
    first = create(aws, image, ClientToken="t-1")
    again = create(aws, image, ClientToken="t-1")
    assert first["LaunchTemplateId"] == again["LaunchTemplateId"]


def test_a_template_that_does_not_exist_is_not_found(aws):
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        launch(aws)
    with refused("InvalidLaunchTemplateId.NotFound"):
        aws.ec2().describe_launch_templates(LaunchTemplateIds=["lt-00000000000000000"])
    with refused("InvalidLaunchTemplateId.Malformed"):
        aws.ec2().describe_launch_templates(LaunchTemplateIds=["lt-xyz"])


def test_a_version_that_does_not_exist_is_not_found(aws):
    create(aws, aws.image())
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        launch(aws, Version="7")


def test_versions_are_listed_newest_first(aws):
    create(aws, aws.image())
    add(aws, InstanceType="a1.large")
    add(aws, InstanceType="a1.xlarge")
    assert versions(aws, LaunchTemplateName="web") == [3, 2, 1]
    assert versions(aws, LaunchTemplateName="web", Versions=["$Default"]) == [1]
    assert versions(aws, LaunchTemplateName="web", MinVersion="2") == [3, 2]


def test_versions_of_all_templates_are_listed_as_latest_or_default(aws):
    image = aws.image()
    create(aws, image)
    create(aws, image, "data")
    assert versions(aws, Versions=["$Latest"]) == [1, 1]


def test_versions_are_found_by_their_image(aws):
    image = aws.image()
    create(aws, aws.image(name="other"))
    add(aws, ImageId=image)
    query = [{"Name": "image-id", "Values": [image]}]
    assert versions(aws, LaunchTemplateName="web", Filters=query) == [2]


def test_a_deleted_version_does_not_give_its_number_back(aws):
    create(aws, aws.image())
    add(aws, InstanceType="a1.large")
    answer = aws.ec2().delete_launch_template_versions(
        LaunchTemplateName="web", Versions=["2", "9"]
    )
    gone = answer["SuccessfullyDeletedLaunchTemplateVersions"]
    assert [entry["VersionNumber"] for entry in gone] == [2]
    failed = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert [entry["ResponseError"]["Code"] for entry in failed] == [
        "launchTemplateVersionDoesNotExist"
    ]
    assert add(aws, InstanceType="a1.large")["VersionNumber"] == 3


def test_a_version_is_deleted_by_its_number(aws):
    create(aws, aws.image())
    add(aws, InstanceType="a1.large")
    with refused("InvalidParameterValue", 400):
        aws.ec2().delete_launch_template_versions(LaunchTemplateName="web", Versions=["2", "$Latest"])
    assert versions(aws, LaunchTemplateName="web") == [2, 1]


def test_a_template_is_deleted(aws):
    create(aws, aws.image())
    aws.ec2().delete_launch_template(LaunchTemplateName="web")
    assert aws.ec2().describe_launch_templates()["LaunchTemplates"] == []


def test_a_template_may_name_a_parameter(aws):
    image = aws.image()
    aws.ssm().put_parameter(
        Name="/golden/web", Value=image, Type="String", DataType="aws:ec2:image"
    )
    create(aws, "resolve:ssm:/golden/web")
    assert launch(aws)["ImageId"] == image


def test_versions_can_show_the_image_that_a_parameter_means(aws):
    image = aws.image()
    aws.ssm().put_parameter(
        Name="/golden/web", Value=image, Type="String", DataType="aws:ec2:image"
    )
    create(aws, "resolve:ssm:/golden/web")
    answer = aws.ec2().describe_launch_template_versions(
        LaunchTemplateName="web", ResolveAlias=True
    )
    assert answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"] == image


def test_references_are_instances_templates_and_parameters(aws):
    image = aws.image()
    assert references(aws, image) == []
    instance = aws.launch(image)["InstanceId"]
    template = create(aws, image)["LaunchTemplateId"]
    aws.ssm().put_parameter(
        Name="/golden/web", Value=image, Type="String", DataType="aws:ec2:image"
    )
    place = f"{HERE}:{aws.account}"
    assert references(aws, image) == [
        ("ec2:Instance", f"arn:aws:ec2:{place}:instance/{instance}"),
        ("ec2:LaunchTemplate", f"arn:aws:ec2:{place}:launch-template/{template}"),
        ("ssm:Parameter", f"arn:aws:ssm:{place}:parameter/golden/web"),
    ]


def test_references_can_be_narrowed_to_a_type_and_a_state(aws):
    image = aws.image()
    aws.launch(image)
    create(aws, image)
    option = {"OptionName": "state-name", "OptionValues": ["stopped"]}
    asked = {"ResourceType": "ec2:Instance", "ResourceTypeOptions": [option]}
    assert references(aws, image, ResourceTypes=[asked]) == []
    del asked["ResourceTypeOptions"]
    assert len(references(aws, image, ResourceTypes=[asked])) == 1


@pytest.mark.parametrize(
    "kind, option, value",
    [
        ("ec2:Instance", "state-name", "gone"),
        ("ec2:Instance", "version-depth", "1"),
        ("ec2:LaunchTemplate", "state-name", "running"),
        ("ec2:LaunchTemplate", "version-depth", "0"),
        ("ec2:LaunchTemplate", "version-depth", "10001"),
        ("ssm:Parameter", "version-depth", "1"),
    ],
)
def test_an_option_of_references_that_there_is_not_is_refused(aws, kind, option, value):
    options = [{"OptionName": option, "OptionValues": [value]}]
    with refused("InvalidParameterValue", 400):
        references(
            aws, aws.image(), ResourceTypes=[{"ResourceType": kind, "ResourceTypeOptions": options}]
        )


def test_references_look_as_deep_into_a_template_as_asked(aws):
    image = aws.image()
    create(aws, image)
    add(aws, ImageId=aws.image(name="other"))

    def found(depth):
        options = [{"OptionName": "version-depth", "OptionValues": [depth]}]
        asked = {"ResourceType": "ec2:LaunchTemplate", "ResourceTypeOptions": options}
        return len(references(aws, image, ResourceTypes=[asked]))

    assert [found(depth) for depth in ["1", "2", "10000"]] == [0, 1, 1]


def test_references_do_not_tell_of_other_accounts(aws):
    image = aws.image(sharedWith=[aws.other])
    aws.launch(image, account=aws.other)
    assert references(aws, image) == []


def test_references_are_asked_for_at_most_ten_images(aws):
    images = [aws.image(name=f"web-{number}") for number in range(11)]
    with refused("InvalidParameterValue"):
        aws.ec2().describe_image_references(ImageIds=images, IncludeAllResourceTypes=True)


def test_a_usage_report_is_pending_and_then_tells_of_other_accounts(aws):
    image = aws.image(sharedWith=[aws.other])
    aws.launch(image)
    aws.launch(image, account=aws.other)
    aws.launch(image, account=aws.other)
    name = report(aws, image, TagSpecifications=[tags("image-usage-report", team="web")])
    found = aws.ec2().describe_image_usage_reports(ReportIds=[name])["ImageUsageReports"][0]
    assert (found["State"], found["ImageId"]) == ("pending", image)
    assert entries(aws, name) == []
    aws.pass_time("60s")
    found = aws.ec2().describe_image_usage_reports(ReportIds=[name])["ImageUsageReports"][0]
    assert found["State"] == "available"
    assert (found["ExpirationTime"] - found["CreationTime"]).days == 30
    assert entries(aws, name) == [(aws.other, "ec2:Instance", 2)]


def test_a_usage_report_is_as_old_as_itself(aws):
    image = aws.image(sharedWith=[aws.other])
    name = report(aws, image)
    aws.launch(image, account=aws.other)
    aws.pass_time("60s")
    assert entries(aws, name) == []


def test_a_usage_report_can_lag_behind_instances(aws):
    aws.configure(reportLag="24h")
    image = aws.image(sharedWith=[aws.other])
    aws.launch(image, account=aws.other)
    first = report(aws, image)
    aws.pass_time("24h")
    second = report(aws, image)
    aws.pass_time("60s")
    assert entries(aws, first) == []
    assert entries(aws, second) == [(aws.other, "ec2:Instance", 1)]


def test_a_usage_report_can_fail(aws):
    image = aws.image()
    effect = {"failCopy": {"reason": "out of luck"}}
    aws.fault(effect, operation="CreateImageUsageReport", account=aws.account)
    name = report(aws, image)
    aws.pass_time("60s")
    found = aws.ec2().describe_image_usage_reports(ReportIds=[name])["ImageUsageReports"][0]
    assert (found["State"], found["StateReason"]) == ("error", "out of luck")


def test_a_usage_report_is_gone_after_thirty_days(aws):
    name = report(aws, aws.image())
    aws.pass_time("720h")
    with refused("InvalidImageUsageReportId.NotFound"):
        aws.ec2().describe_image_usage_reports(ReportIds=[name])


def test_a_usage_report_is_deleted(aws):
    name = report(aws, aws.image())
    assert aws.ec2().delete_image_usage_report(ReportId=name)["Return"] is True
    assert aws.ec2().describe_image_usage_reports()["ImageUsageReports"] == []


def test_only_the_owner_gets_a_usage_report(aws):
    image = aws.image(account=aws.other, sharedWith=[aws.account])
    with refused("AuthFailure"):
        report(aws, image)


def test_what_does_not_concern_images_is_kept_in_a_template(aws):
    data = {
        "ImageId": aws.image(),
        "IamInstanceProfile": {"Name": "web"},
        "MetadataOptions": {"HttpTokens": "required"},
        "Monitoring": {"Enabled": True},
    }
    aws.ec2().create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    found = aws.ec2().describe_launch_template_versions(LaunchTemplateName="web")
    assert found["LaunchTemplateVersions"][0]["LaunchTemplateData"] == data


def test_an_instance_says_which_template_it_was_launched_from(aws):
    template = create(aws, aws.image())["LaunchTemplateId"]
    launched = launch(aws)
    assert {"Key": "aws:ec2launchtemplate:id", "Value": template} in launched["Tags"]
    assert {"Key": "aws:ec2launchtemplate:version", "Value": "1"} in launched["Tags"]
    aws.ec2().delete_tags(Resources=[launched["InstanceId"]])
    found = aws.ec2().describe_instances(InstanceIds=[launched["InstanceId"]])
    assert len(found["Reservations"][0]["Instances"][0]["Tags"]) == 2


def test_what_does_not_concern_images_is_answered_as_it_was_given(aws):
    data = {
        "ImageId": aws.image(),
        "DisableApiTermination": True,
        "InstanceInitiatedShutdownBehavior": "stop",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "CreditSpecification": {"CpuCredits": "standard"},
        "InstanceMarketOptions": {"MarketType": "spot"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-00000000000000000"]}],
    }
    aws.ec2().create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    version = aws.ec2().describe_launch_template_versions(LaunchTemplateName="web")["LaunchTemplateVersions"][0]
    assert version["LaunchTemplateData"] == data
    with refused("OperationNotPermitted"):
        aws.ec2().terminate_instances(InstanceIds=[launch(aws)["InstanceId"]])
