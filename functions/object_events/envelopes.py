"""Envelopes of Amazon SNS: verified by the certificate that SNS publishes, and subscriptions confirmed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import urllib3

from eventing.sns import Envelope, ForgedError, read_envelope, verify
from shared.adapters.store_setup.names import topic_of
from shared.errors import RetryableError
from shared.settings import Settings

_LOG: Final = logging.getLogger(__name__)
_TIMEOUT: Final = urllib3.Timeout(connect=3.0, read=5.0)
_MAX_ANSWER: Final = 1 << 16
_KEPT: Final = 8


def fetch(url: str) -> bytes:
    """A small document by HTTPS, no redirects followed. RetryableError where it cannot be had."""
    try:
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT, cert_reqs="CERT_REQUIRED") as pool:
            answer = pool.request("GET", url, redirect=False, preload_content=False)
            body = answer.read(_MAX_ANSWER)
            answer.close()
    except urllib3.exceptions.HTTPError as error:
        raise RetryableError(f"Amazon SNS: {type(error).__name__}: {str(error)[:200]}") from error
    if answer.status != 200:
        raise RetryableError(f"Amazon SNS: answered {answer.status} where a document was expected")
    return body


class SnsEnvelopes:
    """Opens envelopes of one topic. Certificates that it has seen are kept: SNS changes them about once a year.

    Args:
        settings: region and topic whose envelopes are taken; without a token no subscription is confirmed.
        get: how a document is fetched.
    """

    def __init__(self, settings: Settings, get: Callable[[str], bytes] = fetch) -> None:
        self._region, self._topic = settings.store_region, topic_of(settings.bucket_ledger)
        self._guarded = bool(settings.notification_token.get_secret_value())
        self._get = get
        self._certificates: dict[str, bytes] = {}

    def open(self, document: Mapping[str, Any]) -> bytes | None:
        """What was published; None for a subscription that was confirmed, or has ended.

        Raises:
            BadInputError: no envelope.
            ForgedError: of another topic, or not signed by SNS.
            RetryableError: SNS does not give its certificate, or does not take the confirmation.
        """
        envelope = read_envelope(document)
        if (envelope.region, envelope.topic) != (self._region, self._topic):
            arn = envelope.fields["TopicArn"]
            raise ForgedError(f"notification, TopicArn: expected topic {self._topic} in {self._region}, found {arn!r}")
        verify(envelope, self._certificate(envelope.certificate_url))
        if envelope.kind == "Notification":
            return envelope.message.encode(errors="replace")
        if envelope.kind == "SubscriptionConfirmation":
            self._confirm(envelope)
        else:
            _LOG.warning("object_events: the subscription to %s was ended", envelope.fields["TopicArn"])
        return None

    def _certificate(self, url: str) -> bytes:
        if url not in self._certificates:
            found = self._get(url)
            if len(self._certificates) >= _KEPT:
                self._certificates.clear()
            self._certificates[url] = found
        return self._certificates[url]

    def _confirm(self, envelope: Envelope) -> None:
        if not self._guarded:
            raise ForgedError("subscription: expected S2PS_NOTIFICATION_TOKEN to be set before one is confirmed")
        self._get(envelope.confirmation_url)
        _LOG.info("object_events: the subscription to %s is confirmed", envelope.fields["TopicArn"])
