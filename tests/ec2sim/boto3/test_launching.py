"""What a launch answers, and what it refuses besides the image."""

import pytest
from conftest import refused


def test_instances_launched_together_are_numbered(aws):
    answer = aws.ec2().run_instances(ImageId=aws.image(), MinCount=2, MaxCount=3)
    assert [instance["AmiLaunchIndex"] for instance in answer["Instances"]] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["t3", "t3.huge", "z9.large", "t3.micro.micro"])
def test_a_type_that_there_is_not_is_refused(aws, kind):
    with refused("InvalidParameterValue") as caught:
        aws.launch(aws.image(), InstanceType=kind)
    assert f"Invalid value '{kind}' for InstanceType" in str(caught.value)


@pytest.mark.parametrize("kind", ["t3.nano", "m7i.48xlarge", "c7i-flex.large", "m7i.metal-24xl", "u-6tb1.112xlarge"])
def test_types_of_all_forms_are_known(aws, kind):
    assert aws.launch(aws.image(), InstanceType=kind)["InstanceType"] == kind


def test_an_instance_says_that_its_owner_ended_it(aws):
    ec2 = aws.ec2()
    launched = aws.launch(aws.image())["InstanceId"]
    ec2.terminate_instances(InstanceIds=[launched])
    found = ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]
    assert found["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert found["StateTransitionReason"].startswith("User initiated (")


def test_a_long_client_token_is_accepted_by_copies_alone(aws):
    image = aws.image()
    assert aws.copy(image, ClientToken="t" * 128)
    with refused("InvalidParameterValue"):
        aws.launch(image, ClientToken="t" * 65)
