"""What tools that build images do around the instance: groups, key pairs, attributes."""

import pytest
from conftest import refused, tags

SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}


def group(aws, name="build"):
    made = aws.ec2().create_security_group(
        GroupName=name, Description="d", TagSpecifications=[tags("security-group", team="web")]
    )
    return made["GroupId"]


def described(aws, group):
    return aws.ec2().describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def test_a_group_has_the_rules_it_was_given(aws):
    made = group(aws)
    aws.ec2().authorize_security_group_ingress(GroupId=made, IpPermissions=[SSH])
    assert described(aws, made)["IpPermissions"][0]["IpRanges"] == SSH["IpRanges"]
    with refused("InvalidPermission.Duplicate"):
        aws.ec2().authorize_security_group_ingress(GroupId=made, IpPermissions=[SSH])
    aws.ec2().revoke_security_group_ingress(GroupId=made, IpPermissions=[SSH])
    assert described(aws, made)["IpPermissions"] == []
    with refused("InvalidPermission.NotFound"):
        aws.ec2().revoke_security_group_ingress(GroupId=made, IpPermissions=[SSH])


def test_a_group_is_in_use_until_its_instance_ends(aws):
    made = group(aws)
    launched = aws.launch(aws.image(), SecurityGroupIds=[made])
    assert launched["SecurityGroups"] == [{"GroupId": made, "GroupName": "build"}]
    with refused("DependencyViolation"):
        aws.ec2().delete_security_group(GroupId=made)
    aws.ec2().terminate_instances(InstanceIds=[launched["InstanceId"]])
    aws.ec2().delete_security_group(GroupId=made)
    with refused("InvalidGroup.NotFound"):
        described(aws, made)


def test_groups_have_names_of_their_own_and_are_there(aws):
    group(aws)
    with refused("InvalidGroup.Duplicate"):
        group(aws)
    with refused("InvalidGroup.NotFound"):
        aws.launch(aws.image(), SecurityGroupIds=["sg-00000000000000000"])
    with refused("InvalidGroupId.Malformed"):
        described(aws, "build")


def test_a_group_is_tagged_like_everything_else(aws):
    made = group(aws)
    aws.ec2().create_tags(Resources=[made], Tags=[{"Key": "env", "Value": "prod"}])
    assert {tag["Key"] for tag in described(aws, made)["Tags"]} == {"team", "env"}


def test_a_key_pair_is_made_once_and_deleted_any_number_of_times(aws):
    ec2 = aws.ec2()
    made = ec2.create_key_pair(KeyName="build", KeyType="ed25519")
    assert made["KeyMaterial"].startswith("-----BEGIN")
    assert ec2.describe_key_pairs(KeyNames=["build"])["KeyPairs"][0]["KeyPairId"] == made["KeyPairId"]
    with refused("InvalidKeyPair.Duplicate"):
        ec2.import_key_pair(KeyName="build", PublicKeyMaterial=b"ssh-ed25519 AAAA")
    ec2.delete_key_pair(KeyName="build")
    ec2.delete_key_pair(KeyName="build")
    with refused("InvalidKeyPair.NotFound"):
        ec2.describe_key_pairs(KeyNames=["build"])


def test_an_instance_can_be_protected_from_termination(aws):
    ec2 = aws.ec2()
    launched = aws.launch(aws.image())["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=launched, DisableApiTermination={"Value": True})
    found = ec2.describe_instance_attribute(InstanceId=launched, Attribute="disableApiTermination")
    assert found["DisableApiTermination"] == {"Value": True}
    with refused("OperationNotPermitted"):
        ec2.terminate_instances(InstanceIds=[launched])


def test_an_instance_can_be_protected_from_being_stopped(aws):
    ec2 = aws.ec2()
    launched = aws.launch(aws.image(), DisableApiStop=True)["InstanceId"]
    for call, verb in [(ec2.stop_instances, "stopped"), (ec2.terminate_instances, "terminated")]:
        with refused("OperationNotPermitted", 400) as caught:
            call(InstanceIds=[launched])
        assert f"may not be {verb}. Modify its 'disableApiStop'" in str(caught.value)
    ec2.modify_instance_attribute(InstanceId=launched, DisableApiStop={"Value": False})
    found = ec2.describe_instance_attribute(InstanceId=launched, Attribute="disableApiStop")
    assert found["DisableApiStop"] == {"Value": False}
    assert ec2.stop_instances(InstanceIds=[launched])


def test_a_template_can_protect_from_being_stopped(aws):
    ec2 = aws.ec2()
    data = {"ImageId": aws.image(), "DisableApiStop": True}
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    template = {"LaunchTemplateName": "web"}
    answer = ec2.run_instances(LaunchTemplate=template, MinCount=1, MaxCount=1)
    with refused("OperationNotPermitted"):
        ec2.stop_instances(InstanceIds=[answer["Instances"][0]["InstanceId"]])


def test_one_attribute_is_changed_in_a_call(aws):
    launched = aws.launch(aws.image())["InstanceId"]
    on = {"Value": True}
    with refused("InvalidParameterCombination", 400) as caught:
        aws.ec2().modify_instance_attribute(
            InstanceId=launched, DisableApiStop=on, DisableApiTermination=on
        )
    assert "Fields for multiple attribute types specified" in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"EnaSupport": {"Value": True}}, {"InstanceType": {"Value": "t3.large"}}]
)
def test_type_and_network_change_only_while_it_is_stopped(aws, change):
    ec2 = aws.ec2()
    launched = aws.launch(aws.image())["InstanceId"]
    with refused("IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=launched, **change)
    ec2.stop_instances(InstanceIds=[launched])
    ec2.modify_instance_attribute(InstanceId=launched, **change)
