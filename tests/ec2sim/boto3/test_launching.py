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


def found(aws, name, value):
    answer = aws.ec2().describe_instances(Filters=[{"Name": name, "Values": [value]}])
    return [instance["InstanceId"] for part in answer["Reservations"] for instance in part["Instances"]]


def test_instances_are_found_by_what_they_say_of_themselves(aws):
    launched = aws.launch(aws.image())
    group = launched["SecurityGroups"][0]
    for name, value in [
        ("availability-zone-id", "use1-az1"),
        ("block-device-mapping.delete-on-termination", "true"),
        ("instance.group-id", group["GroupId"]),
        ("launch-index", "0"),
        ("private-ip-address", launched["PrivateIpAddress"]),
        ("vpc-id", launched["VpcId"]),
    ]:
        assert found(aws, name, value) == [launched["InstanceId"]], name


@pytest.mark.parametrize("name", ["network-interface.network-interface-id", "spot-instance-request-id"])
def test_what_instances_here_never_have_can_be_asked_for(aws, name):
    aws.launch(aws.image())
    assert found(aws, name, "*") == []
