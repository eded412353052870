"""The envelope of Amazon SNS, in which AWS delivers store notifications over HTTPS. Pure.

Source: Amazon SNS developer guide, "HTTP/HTTPS notification JSON format", "HTTP/HTTPS subscription confirmation JSON
format", "Verifying the signatures of Amazon SNS messages". A signature covers named fields, each as its name and its
value on a line of their own, in the order of their names; version 1 is SHA-1 with RSA, version 2 SHA-256 with RSA, both
PKCS #1 v1.5.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from shared.errors import BadInputError, PermanentError

_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_HASHES: Final = {"1": "SHA1", "2": "SHA256"}
_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]{1,256})")
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]+\.pem")


class ForgedError(PermanentError):
    """An envelope that Amazon SNS did not sign, or that is of a topic which is not ours."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message of SNS. ``fields`` holds its texts by their names; ``signature`` is decoded."""

    kind: str
    region: str
    topic: str
    fields: Mapping[str, str]
    signature: bytes
    hash_name: str

    @property
    def message(self) -> str:
        """What was published: for S3, a JSON document with ``Records``."""
        return self.fields["Message"]

    @property
    def host(self) -> str:
        """The only host that this topic's certificate and confirmation may be asked of."""
        return f"sns.{self.region}.amazonaws.com{'.cn' if self.region.startswith('cn-') else ''}"

    @property
    def certificate_url(self) -> str:
        """Where the certificate of the signature lies. ForgedError where that is not at SNS of the topic's region."""
        url = self.fields["SigningCertURL"]
        parts = _https(url, self.host, "SigningCertURL")
        if not _CERTIFICATE.fullmatch(parts.path) or parts.query:
            raise ForgedError(f"notification, SigningCertURL: expected a certificate of SNS, found {url[:120]!r}")
        return url

    @property
    def confirmation_url(self) -> str:
        """What confirms the subscription when it is fetched. ForgedError where that asks for anything else."""
        url = self.fields["SubscribeURL"]
        query = parse_qs(_https(url, self.host, "SubscribeURL").query)
        if query.get("Action") != ["ConfirmSubscription"] or query.get("TopicArn") != [self.fields["TopicArn"]]:
            raise ForgedError(f"notification, SubscribeURL: expected ConfirmSubscription of this topic, found {url!r}")
        return url

    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        names = (name for name in _SIGNED[self.kind] if name in self.fields)
        return "".join(f"{name}\n{self.fields[name]}\n" for name in names).encode(errors="replace")


def is_envelope(document: Mapping[str, Any]) -> bool:
    """Whether a notification's document is a message of SNS."""
    return "TopicArn" in document and "Type" in document


def read_envelope(document: Mapping[str, Any]) -> Envelope:
    """The envelope in a notification's document, not verified yet.

    Raises:
        BadInputError: a field is not there, or not what SNS writes.
    """
    kind = document.get("Type")
    if not isinstance(kind, str) or kind not in _SIGNED:
        raise BadInputError("notification, Type", f"one of {', '.join(_SIGNED)}", kind)
    needed = {*_SIGNED[kind], "SigningCertURL", "SignatureVersion", "Signature"} - {"Subject"}
    names = sorted(needed | ({"Subject"} if document.get("Subject") is not None else set()))
    fields = {name: document.get(name) for name in names}
    for name, value in fields.items():
        if not isinstance(value, str):
            raise BadInputError(f"notification, {name}", "text", value)
    texts = {name: str(value) for name, value in fields.items()}
    arn = _ARN.fullmatch(texts["TopicArn"])
    if arn is None:
        raise BadInputError("notification, TopicArn", "the ARN of a topic of SNS", texts["TopicArn"])
    if texts["SignatureVersion"] not in _HASHES:
        raise BadInputError("notification, SignatureVersion", "1 or 2", texts["SignatureVersion"])
    try:
        signature = base64.b64decode(texts["Signature"], validate=True)
    except (binascii.Error, ValueError):
        raise BadInputError("notification, Signature", "base64", texts["Signature"]) from None
    return Envelope(kind, arn[1], arn[3], texts, signature, _HASHES[texts["SignatureVersion"]])


def verify(envelope: Envelope, certificate: bytes) -> None:
    """Check the signature by the PEM certificate that ``certificate_url`` gave. ForgedError where it does not fit."""
    from Crypto.Hash import SHA1, SHA256
    from Crypto.PublicKey import RSA
    from Crypto.Signature import pkcs1_15

    digest = (SHA1 if envelope.hash_name == "SHA1" else SHA256).new(envelope.signed())
    try:
        pkcs1_15.new(RSA.import_key(certificate)).verify(digest, envelope.signature)
    except (ValueError, IndexError, TypeError) as error:
        raise ForgedError(f"notification, Signature: expected one of Amazon SNS ({error})") from None


def _https(url: str, host: str, field: str) -> Any:
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.netloc == host
    except ValueError:
        plain = False
    if not plain:
        raise ForgedError(f"notification, {field}: expected https at {host}, found {url[:120]!r}")
    return parts
