"""Parameters that are encrypted or have policies:
https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html"""

import json

import pytest
from conftest import get, put, refused

EXPIRATION = {
    "Type": "Expiration",
    "Version": "1.0",
    "Attributes": {"Timestamp": "2099-12-02T21:34:33.000Z"},
}


def test_a_secret_is_read_only_with_decryption(aws):
    put(aws, "/secret", "word", Type="SecureString")
    assert get(aws, "/secret")["Value"] != "word"
    found = aws.ssm().get_parameter(Name="/secret", WithDecryption=True)["Parameter"]
    assert (found["Value"], found["Type"]) == ("word", "SecureString")


def test_a_secret_needs_a_key_that_exists(aws):
    for key in ["alias/none", "00000000-0000-0000-0000-000000000000"]:
        with refused("InvalidKeyId", 400):
            put(aws, "/secret", "word", Type="SecureString", KeyId=key)
    with refused("ParameterNotFound"):
        get(aws, "/secret")


def test_a_secret_needs_a_key_that_is_enabled(aws):
    kms = aws.kms()
    for spoil in [
        lambda key: kms.disable_key(KeyId=key),
        lambda key: kms.schedule_key_deletion(KeyId=key),
    ]:
        key = aws.key()
        put(aws, "/secret", "word", Type="SecureString", KeyId=key, Overwrite=True)
        spoil(key)
        with refused("InvalidKeyId", 400):
            aws.ssm().put_parameter(Name="/secret", Value="other", KeyId=key, Overwrite=True)


def test_a_secret_needs_a_key_that_the_account_may_use(aws):
    key = aws.key(account=aws.other)
    with refused("InvalidKeyId"):
        put(aws, "/secret", "word", Type="SecureString", KeyId=key)


def test_a_secret_without_a_key_has_that_of_ssm(aws):
    put(aws, "/secret", "word", Type="SecureString")
    found = aws.ssm().describe_parameters()["Parameters"]
    assert [entry["KeyId"] for entry in found] == ["alias/aws/ssm"]


def test_only_a_secret_has_a_key(aws):
    put(aws, "/web", "one")
    for name, more in [("/other", {}), ("/web", {"Overwrite": True})]:
        with refused("ValidationException", 400) as caught:
            put(aws, name, "two", KeyId="alias/aws/ssm", **more)
        assert "KeyId is required for SecureString type parameter only." in str(caught.value)


def policies_of(aws, name):
    query = [{"Key": "Name", "Values": [name]}]
    [found] = aws.ssm().describe_parameters(ParameterFilters=query)["Parameters"]
    return [json.loads(policy["PolicyText"]) for policy in found["Policies"]]


def test_an_advanced_parameter_has_policies_until_others_or_an_empty_one_are_sent(aws):
    put(aws, "/web", "one", Tier="Advanced", Policies=json.dumps([EXPIRATION]))
    assert policies_of(aws, "/web") == [EXPIRATION]
    put(aws, "/web", "two", Overwrite=True)
    assert policies_of(aws, "/web") == [EXPIRATION]
    put(aws, "/web", "three", Overwrite=True, Policies="[{}]")
    assert policies_of(aws, "/web") == []


def test_a_policy_needs_the_advanced_tier(aws):
    with refused("ValidationException"):
        put(aws, "/web", "one", Policies=json.dumps([EXPIRATION]))
    answer = put(aws, "/web", "1", Tier="Intelligent-Tiering", Policies=json.dumps([EXPIRATION]))
    assert answer["Tier"] == "Advanced"


@pytest.mark.parametrize(
    "policies, code",
    [
        ("no json", "ValidationException"),
        ("{}", "ValidationException"),
        (json.dumps([{**EXPIRATION, "Type": "Other"}]), "InvalidPolicyTypeException"),
        (json.dumps([{**EXPIRATION, "Attributes": {}}]), "InvalidPolicyAttributeException"),
        (json.dumps([EXPIRATION, EXPIRATION]), "IncompatiblePolicyException"),
        (json.dumps([EXPIRATION] * 11), "PoliciesLimitExceededException"),
    ],
)
def test_a_policy_outside_the_rules_is_refused(aws, policies, code):
    with refused(code, 400):
        put(aws, "/web", "one", Tier="Advanced", Policies=policies)
