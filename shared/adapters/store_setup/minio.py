"""Notifications of MinIO: a webhook target of the server, and the bucket's notification to it.

Sources: MinIO documentation, "Publish events to webhook", "mc admin config"; the sources of its server (webhook
target, admin handlers). The server asks the receiver whether it is there before it takes its address, reads targets
only at its start, and shows no token: one that has changed is not seen here, and ``renew`` writes it again.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin

from shared.adapters.s3_client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, trusted
from shared.adapters.store_setup import notifications as config
from shared.adapters.store_setup.names import WEBHOOK, topic_of
from shared.adapters.store_setup.notifications import RefusedError
from shared.adapters.store_setup.report import Report, Target
from shared.errors import ConfigurationError, StoreUnavailableError
from shared.settings import Settings

SECTION: Final = "QueueConfigurations"
SUBSYSTEM: Final = "notify_webhook"
_RESTART_S: Final = 60.0
_POLL_S: Final = 0.5


class ForbiddenError(ConfigurationError):
    """The credentials are not those of an administrator."""


def set_up_minio(client: Any, settings: Settings, target: Target, report: Report, *, renew: bool) -> None:
    """The webhook target with our address and token, then the bucket's notification to it."""
    name = f"{SUBSYSTEM}:{WEBHOOK}"
    try:
        arn = _webhook(make_admin(settings), target, report, name, renew=renew)
    except ForbiddenError:
        report.add("webhook", name, "manual", by_hand(target))
        return
    _notify(client, arn, target.bucket, report)


def make_admin(settings: Settings) -> Any:
    """A client of MinIO's admin interface at the store's endpoint."""
    access, secret = settings.store_access_key.get_secret_value(), settings.store_secret_key.get_secret_value()
    parts, named = urlsplit(settings.store_endpoint), trusted()
    authority = named if isinstance(named, str) else None
    folder = authority is not None and Path(authority).is_dir()
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        retries=False,
        maxsize=2,
        ca_certs=None if folder else authority,
        ca_cert_dir=authority if folder else None,
    )
    return MinioAdmin(
        endpoint=parts.netloc,
        credentials=StaticProvider(access, secret),
        secure=parts.scheme == "https",
        http_client=pool,
    )


def _webhook(admin: Any, target: Target, report: Report, name: str, *, renew: bool) -> str | None:
    """See to the target; returns its ARN, None where a dry run would have made it."""
    with _refusals("configuration"):
        shown = read_target(admin.config_get(SUBSYSTEM))
    arn = _arn(admin)
    if arn is not None and shown is not None and not renew and _fits(shown, target):
        hidden = target.token and not _visible(shown)
        report.add("webhook", name, "unchanged", "its token cannot be seen; --renew writes it again" if hidden else "")
        return arn
    if report.applied:
        with _refusals("webhook"):
            admin.config_set(name, _wanted(target))
            admin.service_restart()
        arn = _await_arn(admin)
    report.add("webhook", name, "created" if shown is None else "changed", "the server was restarted")
    return arn


def _wanted(target: Target) -> dict[str, str]:
    for name, value in (("S2PS_NOTIFICATION_URL", target.url), ("S2PS_NOTIFICATION_TOKEN", target.token)):
        if any(sign in value for sign in '"\\') or len(value.split()) > 1:
            raise ConfigurationError(
                f"{name}: expected neither quotes nor blanks, which MinIO's configuration cannot hold"
            )
    wanted = {"enable": "on", "endpoint": f'"{target.url}"'}
    # With the scheme in front every version of the server sends the value as it is.
    return {**wanted, "auth_token": f'"Bearer {target.token}"'} if target.token else wanted


def read_target(text: str) -> dict[str, str] | None:
    """Our target in the server's configuration of webhooks, by key; None where there is none.

    A line is ``notify_webhook:<id> key=value key="value with blanks"``; what the server's environment sets stands in
    comments before it, ``# MINIO_NOTIFY_WEBHOOK_<KEY>_<ID>=value``, and wins.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            name, _, value = line.lstrip("# ").partition("=")
            key, _, ident = name.removeprefix("MINIO_NOTIFY_WEBHOOK_").rpartition("_")
            if name.startswith("MINIO_NOTIFY_WEBHOOK_") and ident.lower() == WEBHOOK:
                found[key.lower()] = value.strip().strip('"')
            continue
        head, _, rest = line.strip().partition(" ")
        if head.lower() == f"{SUBSYSTEM}:{WEBHOOK}":
            found = {**dict(_pairs(rest)), **found}
    return found or None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    for word in words:
        key, sign, value = word.partition("=")
        if sign:
            yield key, value


def _visible(shown: dict[str, str]) -> bool:
    token = shown.get("auth_token", "")
    return bool(token) and "*" not in token


def _fits(shown: dict[str, str], target: Target) -> bool:
    if shown.get("enable", "on") != "on" or shown.get("endpoint") != target.url:
        return False
    return not _visible(shown) or shown["auth_token"].removeprefix("Bearer ") == target.token


def _arn(admin: Any) -> str | None:
    """The ARN of our target as the running server has it; its region is the server's."""
    with _refusals("information"):
        told = json.loads(admin.info())
    for arn in (told.get("info") or told).get("sqsARN") or []:
        parts = str(arn).split(":")
        if len(parts) == 6 and parts[4].lower() == WEBHOOK and parts[5] == "webhook":
            return str(arn)
    return None


def _await_arn(admin: Any, clock: Callable[[], float] = time.monotonic) -> str:
    deadline = clock() + _RESTART_S
    while True:
        try:
            found = _arn(admin)
        except StoreUnavailableError:
            found = None
        if found is not None:
            return found
        if clock() >= deadline:
            raise StoreUnavailableError(
                f"MinIO: no webhook {WEBHOOK} {_RESTART_S:.0f} s after its restart; its log says what it lacks"
            )
        time.sleep(_POLL_S)


def _notify(client: Any, arn: str | None, bucket: str, report: Report) -> None:
    configuration = config.read_configuration(client, bucket)
    found = config.ours(configuration, SECTION)
    if arn and [(each.get("QueueArn"), each.get("Events"), each.get("Filter")) for each in found] == [
        (arn, config.EVENTS, None)
    ]:
        report.add("notification", bucket, "unchanged")
        return
    if report.applied and arn:
        entry = {"Id": topic_of(bucket), "QueueArn": arn, "Events": config.EVENTS}
        config.write_configuration(client, bucket, config.with_entry(configuration, SECTION, entry))
    report.add("notification", bucket, "changed" if found else "created")


def by_hand(target: Target) -> str:
    """What an administrator of the server types, where our credentials are not enough."""
    token = ' auth_token="Bearer <the value of S2PS_NOTIFICATION_TOKEN>"' if target.token else ""
    return (
        "the admin interface refuses our credentials. An administrator sets it up with:\n"
        f"mc admin config set ALIAS {SUBSYSTEM}:{WEBHOOK} endpoint={json.dumps(target.url)}{token}\n"
        "mc admin service restart ALIAS\n"
        f"mc event add ALIAS/{target.bucket} arn:minio:sqs::{WEBHOOK}:webhook --event put"
    )


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except (MinioAdminException, UnboundLocalError) as error:
        # Where the server refuses to show its configuration, minio 7.2 fails while it handles that.
        cause = error.__context__ if isinstance(error, UnboundLocalError) else error
        if not isinstance(cause, MinioAdminException):
            raise
        status = str(getattr(cause, "_code", ""))
        said = f"MinIO, {what}: the server answered {status} {_message(cause)}"
        if status in {"401", "403"}:
            raise ForbiddenError(said) from error
        raise (StoreUnavailableError if status.startswith("5") else RefusedError)(said) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise StoreUnavailableError(f"MinIO, {what}: {type(error).__name__}: {str(error)[:200]}") from error
    except ValueError as error:
        raise RefusedError(f"MinIO, {what}: expected an answer that can be read ({error})") from error


def _message(error: MinioAdminException) -> str:
    """What the server says in its JSON, cut short; it may repeat the address, never the token."""
    try:
        said = json.loads(getattr(error, "_body", "") or "{}")
        return f"{said.get('Code', '')} {said.get('Message', '')}".strip()[:300]
    except (ValueError, AttributeError):
        return ""
