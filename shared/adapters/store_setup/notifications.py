"""The notification configuration of a bucket: ours in it, others' as they are. And the SNS client of AWS and Ceph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from shared.adapters.s3_client import ATTEMPTS, CONNECT_TIMEOUT_S, READ_TIMEOUT_S, status_of, store_errors
from shared.adapters.store_setup.names import PREFIX
from shared.errors import PermanentError
from shared.settings import Settings

EVENTS: Final = ["s3:ObjectCreated:*"]

_NO_REFUSAL: Final = frozenset({401, 403, 408, 409, 429})


class RefusedError(PermanentError):
    """The store does not do what it was asked to, and says why."""


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Errors of the store as the service's own; a refusal is told in the store's words."""
    with store_errors(what):
        try:
            yield
        except ClientError as error:
            if status_of(error) // 100 == 4 and status_of(error) not in _NO_REFUSAL:
                raise _refused(error, what) from error
            raise
        except (KeyError, TypeError, ValueError) as error:  # another program's answer, in the store's place
            raise RefusedError(f"{what}: expected an answer of the store, found none that can be read") from error


def _refused(error: ClientError, what: str) -> RefusedError:
    said = error.response.get("Error", {})
    code, message = said.get("Code") or error.response.get("Code"), said.get("Message")
    told = f"{code}: {message}" if message and message != code else f"{code or 'without a reason'}"
    return RefusedError(f"{what}: the store answered {status_of(error)} {told}")


def make_sns(settings: Settings) -> Any:
    """A client of the SNS API: AWS's own, or the gateway's, which speaks it at the endpoint of the store."""
    access, secret = settings.store_access_key.get_secret_value(), settings.store_secret_key.get_secret_value()
    return botocore.session.Session().create_client(
        "sns",
        endpoint_url=settings.store_endpoint or None,
        region_name=settings.store_region,
        aws_access_key_id=access or None,
        aws_secret_access_key=secret or None,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )


def read_configuration(client: Any, bucket: str) -> dict[str, Any]:
    """The bucket's notification configuration, every part of it; empty for a bucket that is not there."""
    with refusals(f"notifications of {bucket}"):
        try:
            found: dict[str, Any] = client.get_bucket_notification_configuration(Bucket=bucket)
        except ClientError as error:
            if status_of(error) != 404:
                raise
            return {}
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def ours(configuration: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    """Our entries of a section (``TopicConfigurations``, ``QueueConfigurations``), known by their ids."""
    return [entry for entry in configuration.get(section, []) if str(entry.get("Id", "")).startswith(PREFIX)]


def with_entry(configuration: Mapping[str, Any], section: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with ``entry`` in place of ours, and all others as they were."""
    others = [each for each in configuration.get(section, []) if not str(each.get("Id", "")).startswith(PREFIX)]
    return {**configuration, section: [*others, dict(entry)]}


def write_configuration(client: Any, bucket: str, configuration: Mapping[str, Any]) -> None:
    """Replace the bucket's notification configuration."""
    with refusals(f"notifications of {bucket}"):
        client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=dict(configuration))
