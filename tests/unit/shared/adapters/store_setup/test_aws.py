"""Set-up on AWS, against its services in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr

from shared.adapters import s3
from shared.adapters.store_setup import notifications
from shared.adapters.store_setup.aws import DELIVERY, check_public, with_statement, with_token
from shared.adapters.store_setup.report import Report
from shared.adapters.store_setup.setup import set_up_store
from shared.errors import ConfigurationError, S2psError
from shared.settings import Settings
from tests.support.aws import Aws

URL = "https://events.example.org/object-events"
SETTINGS = Settings(
    store_region="eu-central-1", notification_url=URL, notification_token=SecretStr("to/ken"), store_kind="aws"
)
CHANGING = ("Create", "Put", "Set", "Subscribe", "Unsubscribe")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    made = Aws()
    monkeypatch.setattr(s3, "make_client", lambda _: made.client("s3"))
    monkeypatch.setattr(notifications, "make_sns", lambda _: made.client("sns"))
    return made


def states(report: Report, *kinds: str) -> list[str]:
    return [item.state for item in report.items if not kinds or item.kind in kinds]


def topic(aws: Aws) -> str:
    (arn,) = [arn for arn in aws.topics if arn.endswith(":s2ps-s2-ledger")]
    return arn


def test_all_is_made_once(aws: Aws) -> None:
    assert set(states(set_up_store(SETTINGS))) == {"created"}
    arn = topic(aws)
    assert set(aws.buckets) == {"s2-sessions", "s2-auxiliary", "s2-work", "s2-products", "s2-ledger"}
    entry = {"Id": "s2ps-s2-ledger", "TopicArn": arn, "Events": ["s3:ObjectCreated:*"]}
    assert aws.buckets["s2-ledger"]["notifications"] == {"TopicConfigurations": [entry]}
    assert aws.topics[arn]["SignatureVersion"] == "2"
    allowed = json.loads(aws.topics[arn]["Policy"])["Statement"]
    assert [each["Sid"] for each in allowed] == ["__default_statement_ID", "s2ps-bucket"]
    assert allowed[1]["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:s3:::s2-ledger"}
    assert allowed[1]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert aws.passwords == ["to%2Fken"]
    aws.confirm()
    aws.calls.clear()
    assert set(states(set_up_store(SETTINGS))) == {"unchanged"}
    assert aws.calls == []


def test_lifecycle_rules_are_of_each_bucket(aws: Aws) -> None:
    set_up_store(SETTINGS)
    days = {
        bucket: [rule["Expiration"]["Days"] for rule in held["rules"]["Rules"] if "Expiration" in rule]
        for bucket, held in aws.buckets.items()
    }
    assert days == {"s2-sessions": [30], "s2-work": [2], "s2-auxiliary": [], "s2-products": [], "s2-ledger": []}
    assert all(
        any("AbortIncompleteMultipartUpload" in rule for rule in held["rules"]["Rules"])
        for held in aws.buckets.values()
    )


def test_a_dry_run_changes_nothing_and_says_what_would_be(aws: Aws) -> None:
    looked = set_up_store(SETTINGS, apply=False)
    assert set(states(looked)) == {"created"}
    assert (aws.calls, aws.buckets, aws.topics) == ([], {}, {})
    set_up_store(SETTINGS)
    aws.confirm()
    aws.calls.clear()
    aws.topics[topic(aws)]["SignatureVersion"] = "1"
    assert states(set_up_store(SETTINGS, apply=False, renew=True), "topic", "subscription") == ["changed", "changed"]
    assert aws.calls == []


def test_what_others_made_is_kept(aws: Aws) -> None:
    theirs: dict[str, Any] = {
        "Id": "theirs",
        "QueueArn": "arn:aws:sqs:eu-central-1:1:q",
        "Events": ["s3:ObjectRemoved:*"],
    }
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
    aws.buckets["s2-ledger"] = {
        "notifications": {"QueueConfigurations": [theirs], "EventBridgeConfiguration": {}},
        "rules": {"Rules": [rule], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"},
    }
    aws.topics["arn:aws:sns:eu-central-1:123456789012:aaa"] = {}
    aws.topics["arn:aws:sns:eu-central-1:123456789012:zzz-s2ps-s2-ledger"] = {}
    set_up_store(SETTINGS)
    held = aws.buckets["s2-ledger"]
    assert held["notifications"]["QueueConfigurations"] == [theirs]
    assert held["notifications"]["EventBridgeConfiguration"] == {}
    assert [each["ID"] for each in held["rules"]["Rules"]] == ["theirs", "s2ps-uploads"]
    assert held["rules"]["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"


def test_what_was_altered_is_put_right(aws: Aws) -> None:
    set_up_store(SETTINGS)
    aws.confirm()
    aws.buckets["s2-sessions"]["rules"]["Rules"][0]["Expiration"]["Days"] = 7
    aws.buckets["s2-ledger"]["notifications"]["TopicConfigurations"][0]["Filter"] = {"Key": {"FilterRules": []}}
    (subscription,) = aws.subscriptions.values()
    subscription["Attributes"]["DeliveryPolicy"] = json.dumps({"healthyRetryPolicy": {**DELIVERY, "numRetries": 3}})
    report = set_up_store(SETTINGS)
    changed = {(item.kind, item.name) for item in report.items if item.state == "changed"}
    assert changed == {("lifecycle", "s2-sessions"), ("notification", "s2-ledger"), ("subscription", URL)}
    assert set(states(set_up_store(SETTINGS))) == {"unchanged"}


def test_a_subscription_that_nobody_confirmed_is_asked_for_again(aws: Aws) -> None:
    set_up_store(SETTINGS)
    report = set_up_store(SETTINGS)
    assert states(report, "subscription") == ["manual"]
    assert "not confirmed" in report.items[-1].note
    assert len(aws.passwords) == 2


def test_another_subscriber_of_the_topic_is_none_of_ours(aws: Aws) -> None:
    set_up_store(SETTINGS)
    aws.confirm()
    other = SETTINGS.model_copy(update={"notification_url": "https://other.example.org/object-events"})
    assert states(set_up_store(other), "subscription") == ["created"]
    assert len(aws.subscriptions) == 2


def test_renew_subscribes_anew_with_the_token_of_now(aws: Aws) -> None:
    set_up_store(SETTINGS)
    aws.confirm()
    changed = SETTINGS.model_copy(update={"notification_token": SecretStr("new")})
    assert states(set_up_store(changed), "subscription") == ["unchanged"], "SNS shows no password"
    assert states(set_up_store(changed, renew=True), "subscription") == ["changed"]
    assert aws.passwords[-1] == "new"
    assert len(aws.subscriptions) == 1


def test_one_refusal_is_told_and_keeps_nothing_else_from_being_done(aws: Aws) -> None:
    aws.refused["PutBucketNotificationConfiguration"] = (400, "InvalidArgument")
    report = set_up_store(SETTINGS)
    (failed,) = [item for item in report.items if item.state == "failed"]
    assert failed.kind == "notification"
    assert "InvalidArgument" in failed.note
    assert states(report, "subscription") == ["created"]
    assert not report.again


def test_what_fails_for_a_while_is_tried_again_and_told_as_done(aws: Aws) -> None:
    aws.refused["PutBucketNotificationConfiguration"] = (503, "SlowDown")
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        aws.refused.clear()

    report = set_up_store(SETTINGS, wait_s=60, pause=pause)
    assert waited
    assert states(report, "bucket", "lifecycle", "topic", "notification") == ["created"] * 12


def test_a_failure_that_stays_is_reported_at_once_where_nobody_waits(aws: Aws) -> None:
    aws.refused["PutBucketNotificationConfiguration"] = (503, "SlowDown")
    report = set_up_store(SETTINGS)
    assert states(report, "notification") == ["failed"]
    assert report.again


THEIRS: dict[str, Any] = {"Id": "theirs", "TopicArn": "arn:aws:sns:eu-central-1:1:x", "Events": ["s3:ObjectRemoved:*"]}
RULE = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}


def alter(aws: Aws) -> None:
    """What a set-up finds that has something of everything to put right, and something of others' beside it."""
    set_up_store(SETTINGS)
    aws.confirm()
    aws.topics[topic(aws)] = {"TopicArn": topic(aws), "Policy": "{}"}
    aws.buckets["s2-ledger"]["notifications"] = {"TopicConfigurations": [THEIRS]}
    aws.buckets["s2-work"]["rules"] = {"Rules": [RULE]}
    for each in aws.subscriptions.values():
        each["Attributes"] = {}


@pytest.mark.parametrize("failure", [(403, "AccessDenied"), (500, "InternalError"), None])
@pytest.mark.parametrize("altered", [False, True])
def test_whatever_call_fails_it_is_told_others_keep_theirs_and_the_next_completes(
    aws: Aws, failure: tuple[int, str] | None, altered: bool
) -> None:
    number = 0
    while True:
        aws.empty()
        number += 1
        if altered:
            alter(aws)
        aws.asked, aws.fails_at, aws.fails_by = 0, number, failure
        told = ""
        try:
            report = set_up_store(SETTINGS)
            told = " ".join(item.note for item in report.items if item.state == "failed")
        except S2psError as error:
            told = str(error)
        if aws.asked < number:
            break
        assert told, number
        aws.fails_at = 0
        assert "failed" not in states(set_up_store(SETTINGS)), number
        aws.confirm()
        assert set(states(set_up_store(SETTINGS))) == {"unchanged"}, number
        assert aws.topics[topic(aws)]["SignatureVersion"] == "2"
        if altered:
            assert THEIRS in aws.buckets["s2-ledger"]["notifications"]["TopicConfigurations"]
            assert RULE in aws.buckets["s2-work"]["rules"]["Rules"]
    assert number > 15


@pytest.mark.parametrize("operation", ["CreateTopic", "GetTopicAttributes"])
def test_an_answer_that_is_not_the_stores_is_one_sentence(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(aws, f"_{operation}", lambda **_: {})
    (failed,) = [item for item in set_up_store(SETTINGS).items if item.state == "failed"]
    assert "expected an answer of the store" in failed.note


@pytest.mark.parametrize(
    "url",
    [
        "http://events.example.org/",
        "https://object-events.s2ps.svc/",
        "https://object-events.s2ps.svc.cluster.local/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://user:password@events.example.org/",
    ],
)
def test_a_receiver_that_aws_cannot_reach_is_told_before_anything_is_made(aws: Aws, url: str) -> None:
    with pytest.raises(ConfigurationError, match="public"):
        check_public(url)
    report = set_up_store(SETTINGS.model_copy(update={"notification_url": url}))
    assert states(report, "notification") == ["failed"]
    assert aws.topics == {}


def test_public_names_and_addresses_are_public() -> None:
    check_public("https://events.example.org:8443/x")
    check_public("https://8.8.8.8/")


def test_aws_is_set_up_only_where_it_is_named(aws: Aws) -> None:
    with pytest.raises(ConfigurationError, match="S2PS_STORE_ENDPOINT"):
        set_up_store(SETTINGS.model_copy(update={"store_kind": "auto"}))
    assert aws.calls == []


def test_a_url_carries_the_token_as_its_password() -> None:
    assert with_token("https://a.example:8443/p?q=1", "a:b@c/d") == "https://s2ps:a%3Ab%40c%2Fd@a.example:8443/p?q=1"
    assert with_token("https://a.example/", "") == "https://a.example/"


def test_a_policy_of_one_statement_is_a_policy() -> None:
    ours = {"Sid": "s2ps-bucket", "x": 1}
    assert with_statement({"Statement": {"Sid": "theirs"}}, ours) == {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "theirs"}, ours],
    }
    assert with_statement({"Statement": [{"Sid": "s2ps-bucket", "x": 2}, ours]}, ours) is None
