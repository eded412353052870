"""Messages of Amazon SNS, signed by a key of the tests' own."""

from __future__ import annotations

import base64
from typing import Final

from Crypto.Hash import SHA1, SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15

TOPIC: Final = "arn:aws:sns:eu-central-1:123456789012:s2ps-s2-ledger"
HOST: Final = "https://sns.eu-central-1.amazonaws.com"
_KEY: Final = RSA.generate(1024)  # noqa: S505 - quick to make, and gone with the tests
PUBLIC_KEY: Final = _KEY.public_key().export_key()


def confirmation(**changes: str) -> dict[str, str]:
    """A subscription's confirmation, signed by a key of the test's own."""
    document = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "Token": "2336412f37",
        "TopicArn": TOPIC,
        "Message": f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm, visit the SubscribeURL.",
        "SubscribeURL": f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37",
        "Timestamp": "2026-11-22T08:45:06.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": f"{HOST}/SimpleNotificationService-0123abcd.pem",
        **changes,
    }
    names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{document[name]}\n" for name in names).encode()
    digest = SHA1.new(text) if document["SignatureVersion"] == "1" else SHA256.new(text)
    return {"Signature": base64.b64encode(pkcs1_15.new(_KEY).sign(digest)).decode(), **document}
