"""The default network of an account, and where on it instances are."""

import pytest
from conftest import refused


def test_every_account_has_a_default_network(aws):
    ec2 = aws.ec2()
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    groups = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [subnet["AvailabilityZone"] for subnet in subnets] == [zone["ZoneName"] for zone in zones]
    assert [group["VpcId"] for group in groups] == [vpc["VpcId"]]


def test_an_instance_is_on_it_until_it_ends(aws):
    launched = aws.launch(aws.image())
    subnet = aws.ec2().describe_subnets(SubnetIds=[launched["SubnetId"]])["Subnets"][0]
    assert launched["VpcId"] == subnet["VpcId"]
    assert launched["Placement"]["AvailabilityZone"] == subnet["AvailabilityZone"]
    assert launched["PrivateIpAddress"].startswith("172.31.")
    assert launched["SecurityGroups"][0]["GroupName"] == "default"
    aws.ec2().terminate_instances(InstanceIds=[launched["InstanceId"]])
    found = aws.ec2().describe_instances(InstanceIds=[launched["InstanceId"]])
    assert "SubnetId" not in found["Reservations"][0]["Instances"][0]


def test_a_subnet_decides_the_zone(aws):
    subnet = aws.ec2().describe_subnets(
        Filters=[{"Name": "availability-zone", "Values": ["us-east-1b"]}]
    )["Subnets"][0]
    launched = aws.launch(aws.image(), SubnetId=subnet["SubnetId"])
    assert launched["Placement"]["AvailabilityZone"] == "us-east-1b"


def test_another_subnet_or_zone_is_refused(aws):
    image = aws.image()
    with refused("InvalidSubnetID.NotFound"):
        aws.launch(image, SubnetId="subnet-00000000000000000")
    with refused("InvalidParameterValue"):
        aws.launch(image, Placement={"AvailabilityZone": "us-east-1q"})


@pytest.mark.parametrize(
    "region, zone", [("us-east-1", "use1-az1"), ("eu-central-1", "euc1-az1"), ("ap-northeast-1", "apne1-az1")]
)
def test_zones_have_ids(aws, region, zone):
    first = aws.ec2(region).describe_availability_zones()["AvailabilityZones"][0]
    assert (first["ZoneName"], first["ZoneId"]) == (f"{region}a", zone)
