"""The S3 client and what its errors mean to the service.

botocore is used without boto3: the same client at two thirds of the import time, which every cold start pays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from shared.adapters.breaker import Breaker
from shared.errors import ConfigurationError, ObjectAbsentError, S2psError, StoreUnavailableError
from shared.settings import Settings

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60
ATTEMPTS: Final = 4
CONNECTIONS: Final = 32

_BUSY: Final = frozenset({"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "OperationAborted", "InternalError"})
_CONDITIONS: Final = frozenset({"If-Match", "If-None-Match"})
_CONDITIONAL: Final = "s2ps-conditional"
_ABSENT: Final = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})


def make_client(settings: Settings) -> Any:
    """A botocore S3 client: bounded retries, timeouts, a breaker, path-style addressing where an endpoint is set."""
    access, secret = settings.store_access_key.get_secret_value(), settings.store_secret_key.get_secret_value()
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": "path" if settings.store_endpoint else "auto"},
    )
    client = botocore.session.Session().create_client(
        "s3",
        endpoint_url=settings.store_endpoint or None,
        region_name=settings.store_region,
        aws_access_key_id=access or None,
        aws_secret_access_key=secret or None,
        config=config,
    )
    break_when_down(client, Breaker(f"object store {settings.store_endpoint or 'AWS'}", StoreUnavailableError))
    return client


def break_when_down(client: Any, breaker: Breaker) -> None:
    """Put a breaker before every call of a botocore client: once for each, whatever it sends again by itself.

    Source: botocore's events ``before-call``, ``after-call`` and ``after-call-error``. What the breaker refuses was
    never sent: it cannot have been written. A conditional write that is answered by 500 is not counted: Ceph (16.2)
    answers so to who loses a race, and the look that follows it tells how the store is.
    """

    def before(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_CONDITIONAL] = params["method"] == "PUT" and bool(_CONDITIONS & params["headers"].keys())
        breaker.admit()

    def after(http_response: Any, context: Mapping[str, Any], **_: Any) -> None:
        if http_response.status_code == 500 and context[_CONDITIONAL]:
            breaker.undecided()
        elif http_response.status_code >= 500:
            breaker.failed()
        else:
            breaker.worked()

    def after_error(exception: Exception, **_: Any) -> None:
        if isinstance(exception, (NoConnectionError, HTTPClientError, urllib3.exceptions.HTTPError, OSError)):
            breaker.failed()

    client.meta.events.register("before-call.s3", before)
    client.meta.events.register("after-call.s3", after)
    client.meta.events.register("after-call-error.s3", after_error)


def trusted() -> str | bool:
    """The certificates that the client goes by, for requests that it cannot make: a file or folder, True: its own."""
    named: str | None = botocore.session.Session().get_config_variable("ca_bundle")
    return named or os.environ.get("REQUESTS_CA_BUNDLE") or True


def status_of(error: ClientError) -> int:
    """The HTTP status of a refused request, 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def meaning(error: ClientError, what: str) -> S2psError:
    """The service's error for a refused request about ``what`` (``bucket/key``)."""
    code, status = str(error.response.get("Error", {}).get("Code", "")), status_of(error)
    if code == "NoSuchBucket":
        return ConfigurationError(f"object store, {what}: expected the bucket to exist")
    if code in _ABSENT or status == 404:
        return ObjectAbsentError(f"no object {what}")
    if status >= 500 or status == 429 or code in _BUSY:
        return StoreUnavailableError(f"object store, {what}: answered {status} {code}")
    if status in {401, 403}:
        return ConfigurationError(f"object store, {what}: refused our credentials ({code or status})")
    return StoreUnavailableError(f"object store, {what}: answered {status} {code}, which was not expected")


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn the client's errors into the service's. ``ParamValidationError`` is a bug of ours and passes."""
    try:
        yield
    except ClientError as error:
        raise meaning(error, what) from error
    except NoCredentialsError as error:
        raise ConfigurationError(f"object store, {what}: expected credentials, found none") from error
    except ParamValidationError:
        raise
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailableError(f"object store, {what}: {type(error).__name__}: {str(error)[:200]}") from error


def unquoted(etag: str) -> str:
    """An etag without its quotes: as ports hold it, and as every server compares it (Ceph 16 takes no other form)."""
    return etag.strip().removeprefix("W/").strip('"')
