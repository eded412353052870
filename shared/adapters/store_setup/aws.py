"""Notifications of AWS S3: a topic of SNS that the bucket may publish to, and an HTTPS subscription of the receiver.

Sources: Amazon S3 user guide, "Granting permissions to publish event notification messages to a destination"; Amazon
SNS developer guide, "Fanout to HTTP/S endpoints", "Message delivery retries". SNS holds the credentials of the
receiver's URL and shows them to nobody: a token that has changed is not seen here, and ``renew`` subscribes anew.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from shared.adapters.store_setup import notifications as config
from shared.adapters.store_setup.names import PREFIX, topic_of
from shared.adapters.store_setup.report import Report, State, Target
from shared.errors import ConfigurationError

SECTION: Final = "TopicConfigurations"
_USER: Final = "s2ps"
_PENDING: Final = frozenset({"PendingConfirmation", "pending confirmation"})
DELIVERY: Final = {
    "minDelayTarget": 1,
    "maxDelayTarget": 60,
    "numRetries": 55,
    "numMaxDelayRetries": 40,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "exponential",
}
"""Deliveries go on for most of the hour that SNS allows; then the sweep has found the event long since."""


def set_up_aws(client: Any, sns: Any, target: Target, report: Report, *, renew: bool) -> None:
    """Topic, its policy, the bucket's notification to it, and the subscription."""
    check_public(target.url)
    name = topic_of(target.bucket)
    arn = _find_topic(sns, name)
    made = arn is None
    if arn is None and report.applied:
        with config.refusals(f"topic {name}"):
            arn = str(sns.create_topic(Name=name)["TopicArn"])
    if arn is None:
        report.add("topic", name, "created")
        report.add("notification", target.bucket, "created")
        report.add("subscription", target.url, "created")
        return
    changed = _attributes(sns, arn, target.bucket, report)
    report.add("topic", name, "created" if made else "changed" if changed else "unchanged")
    with report.attempt("notification", target.bucket):
        _notify(client, arn, target.bucket, report)
    with report.attempt("subscription", target.url):
        _subscribe(sns, arn, target, report, renew=renew)


def check_public(url: str) -> None:
    """SNS calls from the Internet, by HTTPS. ConfigurationError where it cannot reach ``url``, with what would do."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = "." not in host or host.endswith((".svc", ".local", ".internal", ".localhost"))
    with contextlib.suppress(ValueError):
        local |= not ipaddress.ip_address(host).is_global
    if parts.scheme != "https" or local or parts.username:
        raise ConfigurationError(
            f"S2PS_NOTIFICATION_URL: expected https at a public name, without credentials, found {url!r}; "
            "publish object-events under a domain with a certificate, or leave the address empty: the sweep finds all"
        )


def _find_topic(sns: Any, name: str) -> str | None:
    with config.refusals("topics"):
        for page in sns.get_paginator("list_topics").paginate():
            for topic in page.get("Topics", []):
                if str(topic["TopicArn"]).rpartition(":")[2] == name:
                    return str(topic["TopicArn"])
    return None


def _attributes(sns: Any, arn: str, bucket: str, report: Report) -> bool:
    """The policy that lets the bucket publish, and signatures by SHA-256. True where something was to be changed."""
    with config.refusals(f"topic {arn}"):
        found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        policy = with_statement(json.loads(found.get("Policy") or "{}"), statement(arn, bucket))
        wanted = {} if policy is None else {"Policy": json.dumps(policy)}
        if found.get("SignatureVersion", "1") != "2":
            wanted["SignatureVersion"] = "2"
        for attribute, value in wanted.items():
            if report.applied:
                sns.set_topic_attributes(TopicArn=arn, AttributeName=attribute, AttributeValue=value)
    return bool(wanted)


def statement(arn: str, bucket: str) -> dict[str, Any]:
    """What lets S3, for this bucket of this account alone, publish to the topic."""
    _, partition, _, _, account, _ = arn.split(":", 5)
    return {
        "Sid": f"{PREFIX}bucket",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:{partition}:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }


def with_statement(policy: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any] | None:
    """The policy with our statement, others' as they were; None where it has it."""
    statements = policy.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    if any(each == ours for each in listed):
        return None
    others = [each for each in listed if each.get("Sid") != ours["Sid"]]
    return {"Version": "2012-10-17", **policy, "Statement": [*others, dict(ours)]}


def _notify(client: Any, arn: str, bucket: str, report: Report) -> None:
    configuration = config.read_configuration(client, bucket)
    found = config.ours(configuration, SECTION)
    if [(each.get("TopicArn"), each.get("Events"), each.get("Filter")) for each in found] == [
        (arn, config.EVENTS, None)
    ]:
        report.add("notification", bucket, "unchanged")
        return
    if report.applied:
        entry = {"Id": topic_of(bucket), "TopicArn": arn, "Events": config.EVENTS}
        config.write_configuration(client, bucket, config.with_entry(configuration, SECTION, entry))
    report.add("notification", bucket, "changed" if found else "created")


def _subscribe(sns: Any, arn: str, target: Target, report: Report, *, renew: bool) -> None:
    found = [each for each in _subscriptions(sns, arn) if _bare(str(each.get("Endpoint"))) == _bare(target.url)]
    confirmed = [str(each["SubscriptionArn"]) for each in found if each["SubscriptionArn"] not in _PENDING]
    if confirmed and not renew:
        changed = _deliver(sns, confirmed[0], report)
        report.add("subscription", target.url, "changed" if changed else "unchanged")
        return
    if report.applied:
        with config.refusals("subscription"):
            for each in confirmed:
                sns.unsubscribe(SubscriptionArn=each)
            sns.subscribe(
                TopicArn=arn,
                Protocol="https",
                Endpoint=with_token(target.url, target.token),
                Attributes={"DeliveryPolicy": json.dumps({"healthyRetryPolicy": DELIVERY})},
            )
    state: State = "changed" if confirmed else "manual" if found else "created"
    note = "object-events confirms it with its first message; run this again to see that it did"
    report.add(
        "subscription", target.url, state, note if state != "manual" else f"not confirmed yet, asked again: {note}"
    )


def _subscriptions(sns: Any, arn: str) -> list[Mapping[str, Any]]:
    with config.refusals(f"topic {arn}"):
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        return [each for page in pages for each in page.get("Subscriptions", []) if each.get("Protocol") == "https"]


def _deliver(sns: Any, subscription: str, report: Report) -> bool:
    with config.refusals("subscription"):
        found = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        policy = json.loads(found.get("DeliveryPolicy") or "{}").get("healthyRetryPolicy") or {}
        if {name: policy.get(name) for name in DELIVERY} == DELIVERY:
            return False
        if report.applied:
            sns.set_subscription_attributes(
                SubscriptionArn=subscription,
                AttributeName="DeliveryPolicy",
                AttributeValue=json.dumps({"healthyRetryPolicy": DELIVERY}),
            )
    return True


def with_token(url: str, token: str) -> str:
    """The receiver's URL with the token as the password of Basic authentication."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{_USER}:{quote(token, safe='')}@{parts.netloc}").geturl() if token else url


def _bare(url: str) -> str:
    """A URL without its credentials, which SNS shows as asterisks."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path or "/").geturl()
