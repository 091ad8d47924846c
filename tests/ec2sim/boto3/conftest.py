"""The suite drives the simulator over HTTP with boto3, a client that its authors did not write.

One process serves all tests. Each test has accounts of its own, so that tests do not see each other's things, and finds
the settings and faults as they were at the start.
"""

import contextlib
import itertools
import json
import os
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

URL = os.environ["EC2SIM_URL"]
HERE = "us-east-1"
THERE = "eu-west-1"
NO_SUCH_IMAGE = "ami-00000000000000000"

_accounts = itertools.count(100_000_000_001)
_session = boto3.session.Session()


def admin(method, path, body=None):
    """Calls the admin endpoint."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_admin/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@contextlib.contextmanager
def refused(code, status=None):
    """What is inside must be refused with this code."""
    with pytest.raises(ClientError) as caught:
        yield caught
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer["Error"]
    if status is not None:
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


class World:
    """AWS as one account sees it, with another account beside it."""

    def __init__(self):
        self.account = str(next(_accounts))
        self.other = str(next(_accounts))
        self._clients = {}

    def client(self, service, region=HERE, account=None, **credentials):
        key = account or self.account
        known = (service, region, key, credentials.get("aws_session_token"))
        if known not in self._clients:
            credentials = credentials or {
                "aws_access_key_id": key,
                "aws_secret_access_key": "secret",
            }
            self._clients[known] = _session.client(
                service,
                region_name=region,
                endpoint_url=URL,
                config=Config(retries={"total_max_attempts": 1}),
                **credentials,
            )
        return self._clients[known]

    def ec2(self, region=HERE, account=None):
        return self.client("ec2", region, account)

    def ssm(self, region=HERE, account=None):
        return self.client("ssm", region, account)

    def kms(self, region=HERE, account=None):
        return self.client("kms", region, account)

    def image(self, region=HERE, **seed):
        """Puts in an available image of the account."""
        seed = {"region": region, "account": self.account, **seed}
        return admin("POST", "images", seed)["id"]

    def key(self, region=HERE, **seed):
        seed = {"region": region, "account": self.account, **seed}
        return admin("POST", "keys", seed)["arn"]

    def instance(self, image, region=HERE, account=None):
        seed = {"region": region, "account": account or self.account, "image": image}
        return admin("POST", "instances", seed)["id"]

    def describe(self, image, region=HERE, account=None):
        return self.ec2(region, account).describe_images(ImageIds=[image])["Images"][0]

    def state(self, image, region=HERE):
        return self.describe(image, region)["State"]

    def snapshots(self, image, region=HERE):
        devices = self.describe(image, region)["BlockDeviceMappings"]
        return [device["Ebs"]["SnapshotId"] for device in devices]

    def copy(self, image, name="copy", region=THERE, account=None, **more):
        more = {"Name": name, "SourceImageId": image, "SourceRegion": HERE, **more}
        return self.ec2(region, account).copy_image(**more)["ImageId"]

    def share(self, image, *accounts, region=HERE):
        add = [{"UserId": account} for account in accounts or [self.other]]
        self.ec2(region).modify_image_attribute(ImageId=image, LaunchPermission={"Add": add})

    def sharees(self, image, region=HERE):
        answer = self.ec2(region).describe_image_attribute(
            ImageId=image, Attribute="launchPermission"
        )
        return answer["LaunchPermissions"]

    def launch(self, image, region=HERE, account=None, **more):
        more = {"ImageId": image, "MinCount": 1, "MaxCount": 1, **more}
        return self.ec2(region, account).run_instances(**more)["Instances"][0]

    @staticmethod
    def pass_time(by):
        admin("POST", "time", {"by": by})

    @staticmethod
    def now():
        return admin("GET", "time")["now"]

    @staticmethod
    def configure(**settings):
        admin("PATCH", "config", settings)

    @staticmethod
    def fault(effect, **conditions):
        admin("POST", "faults", {"effect": effect, **conditions})


@pytest.fixture(scope="session")
def settings():
    return admin("GET", "config")


@pytest.fixture
def aws(settings):
    yield World()
    admin("DELETE", "faults")
    admin("PATCH", "config", settings)


def tags(kind, **pairs):
    """A TagSpecification."""
    listed = [{"Key": key, "Value": value} for key, value in pairs.items()]
    return {"ResourceType": kind, "Tags": listed}


def put(aws, name, value, **more):
    """Writes a parameter."""
    more = {"Type": "String", **more}
    return aws.ssm().put_parameter(Name=name, Value=value, **more)


def get(aws, name):
    """The parameter of a name."""
    return aws.ssm().get_parameter(Name=name)["Parameter"]
