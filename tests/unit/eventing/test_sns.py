"""Envelopes of Amazon SNS: what is signed, by whom, and where its certificate and its confirmation may be fetched.

``golden/sns/notification.json`` has the form of Amazon SNS's developer guide, signed by the key of ``certificate.pem``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eventing.dialects import parse_notification
from eventing.sns import ForgedError, is_envelope, read_envelope, verify
from shared.domain.events import object_created
from shared.errors import BadInputError
from tests.support.sns import HOST, PUBLIC_KEY, TOPIC, confirmation

GOLDEN = Path(__file__).with_name("golden") / "sns"
CERTIFICATE = (GOLDEN / "certificate.pem").read_bytes()


def golden(**changes: Any) -> dict[str, Any]:
    document = {**json.loads((GOLDEN / "notification.json").read_text()), **changes}
    return {name: value for name, value in document.items() if value is not None}


def test_the_recorded_notification_is_genuine_and_holds_an_event() -> None:
    envelope = read_envelope(golden())
    verify(envelope, CERTIFICATE)
    (event,) = parse_notification(envelope.message.encode())
    assert event.id == object_created("s2-ledger", event.subject, "99914b932bd37a50b983c5e7c90ae93b").id
    assert event.subject == "sessions/S 1/complete é.json"
    assert (envelope.region, envelope.topic) == ("eu-central-1", "s2ps-s2-ledger")


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"])
def test_no_signed_field_can_be_altered(field: str) -> None:
    altered = golden(**{field: golden()[field].replace("2", "3", 1) if "2" in golden()[field] else "other"})
    with pytest.raises(ForgedError, match="Signature"):
        verify(read_envelope(altered), CERTIFICATE)


def test_a_subject_that_is_not_there_is_not_signed() -> None:
    with pytest.raises(ForgedError):
        verify(read_envelope(golden(Subject=None)), CERTIFICATE)


@pytest.mark.parametrize("version", ["1", "2"])
def test_confirmations_of_both_versions_are_verified(version: str) -> None:
    envelope = read_envelope(confirmation(SignatureVersion=version))
    verify(envelope, PUBLIC_KEY)
    assert "ConfirmSubscription" in envelope.confirmation_url


@pytest.mark.parametrize("certificate", [b"", b"-----BEGIN CERTIFICATE-----\n", b"\x30\x03"])
def test_what_is_no_certificate_proves_nothing(certificate: bytes) -> None:
    with pytest.raises(ForgedError):
        verify(read_envelope(golden()), certificate)


PEM = "/SimpleNotificationService-0123abcd.pem"


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.eu-central-1.amazonaws.com{PEM}",
        f"https://sns.eu-central-1.amazonaws.com.evil.example{PEM}",
        f"https://sns.eu-central-1.amazonaws.com@evil.example{PEM}",
        f"https://x@sns.eu-central-1.amazonaws.com{PEM}",
        f"https://sns.eu-central-1.amazonaws.com:8443{PEM}",
        f"https://sns.us-east-1.amazonaws.com{PEM}",
        "https://sns.eu-central-1.amazonaws.com/other.pem",
        f"https://sns.eu-central-1.amazonaws.com{PEM}?x=1",
        "https://[::1",
    ],
)
def test_certificates_come_from_sns_alone(url: str) -> None:
    with pytest.raises(ForgedError, match="SigningCertURL"):
        _ = read_envelope(golden(SigningCertURL=url)).certificate_url


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example/?Action=ConfirmSubscription&TopicArn={TOPIC}",
        f"{HOST}/?Action=DeleteTopic&TopicArn={TOPIC}",
        f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}x",
        f"{HOST}/?Action=ConfirmSubscription&Action=DeleteTopic&TopicArn={TOPIC}",
        f"{HOST}/",
    ],
)
def test_only_this_subscription_is_confirmed(url: str) -> None:
    with pytest.raises(ForgedError, match="SubscribeURL"):
        _ = read_envelope(confirmation(SubscribeURL=url)).confirmation_url


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Type": "Other"}, "Type"),
        ({"Type": ["Notification"]}, "Type"),
        ({"TopicArn": "arn:aws:sqs:eu-central-1:123456789012:x"}, "TopicArn"),
        ({"SignatureVersion": "3"}, "SignatureVersion"),
        ({"Signature": "%"}, "Signature"),
        ({"Signature": None}, "Signature"),
        ({"Message": {"Records": []}}, "Message"),
        ({"Subject": 1}, "Subject"),
        ({"SigningCertURL": None}, "SigningCertURL"),
    ],
)
def test_what_is_no_envelope_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_envelope(golden(**changes))


def test_regions_of_china_have_a_domain_of_their_own() -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:s2ps-s2-ledger"
    url = f"https://sns.cn-north-1.amazonaws.com.cn{PEM}"
    assert read_envelope(golden(TopicArn=topic, SigningCertURL=url)).certificate_url == url


def test_records_are_no_envelope() -> None:
    assert is_envelope(golden())
    assert not is_envelope({"Records": []})
