"""KMS: https://docs.aws.amazon.com/kms/latest/developerguide/"""

import json

from conftest import HERE, THERE, refused


def create(aws, **more):
    return aws.kms().create_key(**more)["KeyMetadata"]


def metadata(aws, key, account=None):
    return aws.kms(account=account).describe_key(KeyId=key)["KeyMetadata"]


def copy_state(aws, key, name="copy"):
    copy = aws.copy(
        aws.image(region=HERE, name=f"of-{name}"), name, region=HERE, Encrypted=True, KmsKeyId=key
    )
    aws.pass_time("60s")
    return aws.state(copy)


def test_a_key_is_created_enabled(aws):
    made = create(aws, Description="for images")
    assert made["Arn"] == f"arn:aws:kms:{HERE}:{aws.account}:key/{made['KeyId']}"
    assert (made["Enabled"], made["KeyState"]) == (True, "Enabled")
    assert (made["KeyManager"], made["Description"]) == ("CUSTOMER", "for images")
    assert copy_state(aws, made["KeyId"]) == "available"


def test_a_key_is_named_by_id_arn_alias_and_alias_arn(aws):
    made = create(aws)
    aws.kms().create_alias(AliasName="alias/golden", TargetKeyId=made["KeyId"])
    alias = f"arn:aws:kms:{HERE}:{aws.account}:alias/golden"
    for name in [made["KeyId"], made["Arn"], "alias/golden", alias]:
        assert metadata(aws, name)["KeyId"] == made["KeyId"]


def test_a_key_lives_in_its_region(aws):
    with refused("NotFoundException"):
        aws.kms(THERE).describe_key(KeyId=create(aws)["KeyId"])


def test_a_disabled_key_cannot_be_used_until_it_is_enabled(aws):
    key = create(aws)["KeyId"]
    kms = aws.kms()
    kms.disable_key(KeyId=key)
    assert metadata(aws, key)["KeyState"] == "Disabled"
    assert copy_state(aws, key, "one") == "failed"
    kms.enable_key(KeyId=key)
    assert copy_state(aws, key, "two") == "available"


def test_a_key_that_is_going_to_be_deleted_cannot_be_used(aws):
    key = create(aws)["KeyId"]
    kms = aws.kms()
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert answer["KeyState"] == "PendingDeletion"
    assert copy_state(aws, key) == "failed"
    with refused("KMSInvalidStateException"):
        kms.enable_key(KeyId=key)
    kms.cancel_key_deletion(KeyId=key)
    assert metadata(aws, key)["KeyState"] == "Disabled"


def test_a_key_is_gone_with_its_aliases_once_it_is_deleted(aws):
    key = create(aws)
    kms = aws.kms()
    kms.create_alias(AliasName="alias/golden", TargetKeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    aws.pass_time("167h")
    assert metadata(aws, key["KeyId"])["KeyState"] == "PendingDeletion"
    aws.pass_time("1h")
    for name in [key["KeyId"], key["Arn"], "alias/golden"]:
        with refused("NotFoundException", 400):
            metadata(aws, name)
    assert kms.list_keys()["Keys"] == []
    with refused("NotFoundException"):
        kms.cancel_key_deletion(KeyId=key["KeyId"])
    kms.create_alias(AliasName="alias/golden", TargetKeyId=create(aws)["KeyId"])


def test_a_key_whose_deletion_is_put_off_stays_until_then(aws):
    key = create(aws)["KeyId"]
    kms = aws.kms()
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=8)
    aws.pass_time("168h")
    assert metadata(aws, key)["KeyState"] == "PendingDeletion"
    aws.pass_time("24h")
    with refused("NotFoundException"):
        metadata(aws, key)


def test_an_alias_is_taken_once(aws):
    key = create(aws)["KeyId"]
    kms = aws.kms()
    kms.create_alias(AliasName="alias/golden", TargetKeyId=key)
    with refused("AlreadyExistsException"):
        kms.create_alias(AliasName="alias/golden", TargetKeyId=key)
    found = kms.list_aliases(KeyId=key)["Aliases"]
    assert [(entry["AliasName"], entry["TargetKeyId"]) for entry in found] == [
        ("alias/golden", key)
    ]
    kms.delete_alias(AliasName="alias/golden")
    with refused("NotFoundException"):
        metadata(aws, "alias/golden")


def test_an_alias_can_be_pointed_elsewhere(aws):
    first, second = create(aws)["KeyId"], create(aws)["KeyId"]
    kms = aws.kms()
    kms.create_alias(AliasName="alias/golden", TargetKeyId=first)
    kms.update_alias(AliasName="alias/golden", TargetKeyId=second)
    assert metadata(aws, "alias/golden")["KeyId"] == second


def test_aliases_of_aws_are_reserved(aws):
    with refused("NotAuthorizedException"):
        aws.kms().create_alias(AliasName="alias/aws/mine", TargetKeyId=create(aws)["KeyId"])


def test_keys_are_listed_in_pages(aws):
    keys = sorted(create(aws)["KeyId"] for _ in range(3))
    pages = aws.kms().get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})
    found = [key["KeyId"] for page in pages for key in page["Keys"]]
    assert found == keys


def test_the_key_of_another_account_needs_its_policy(aws):
    made = create(aws)
    with refused("AccessDeniedException"):
        metadata(aws, made["Arn"], aws.other)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{name}:root" for name in (aws.account, aws.other)]},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.kms().put_key_policy(KeyId=made["KeyId"], PolicyName="default", Policy=policy)
    assert metadata(aws, made["Arn"], aws.other)["KeyId"] == made["KeyId"]
    assert aws.kms().get_key_policy(KeyId=made["KeyId"])["Policy"] == policy


def test_a_policy_that_is_no_policy_is_refused(aws):
    key = create(aws)["KeyId"]
    with refused("MalformedPolicyDocumentException"):
        aws.kms().put_key_policy(KeyId=key, Policy="{}")


def test_a_grant_is_given_listed_and_revoked(aws):
    key = create(aws)["KeyId"]
    kms = aws.kms()
    grantee = f"arn:aws:iam::{aws.other}:role/reader"
    grant = kms.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Decrypt"])
    found = kms.list_grants(KeyId=key)["Grants"]
    assert [(entry["GrantId"], entry["GranteePrincipal"]) for entry in found] == [
        (grant["GrantId"], grantee)
    ]
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_a_key_that_does_not_exist_is_not_found(aws):
    with refused("NotFoundException", 400):
        metadata(aws, "12345678-1234-1234-1234-123456789012")


def test_the_key_of_ebs_is_there_once_it_is_asked_for(aws):
    key = aws.kms().describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
    assert key["KeyManager"] == "AWS"
    volume = aws.ec2().create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True)
    assert volume["KmsKeyId"] == key["Arn"]


def test_what_aws_manages_cannot_be_changed(aws):
    key = aws.kms().describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["KeyId"]
    with refused("AccessDeniedException"):
        aws.kms().disable_key(KeyId=key)
    with refused("AccessDeniedException"):
        aws.kms().schedule_key_deletion(KeyId=key)


def test_a_key_has_one_policy(aws):
    key = aws.kms().create_key()["KeyMetadata"]["KeyId"]
    assert aws.kms().list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
