"""The set-up of a store: find out which it is, then see to buckets, rules and notifications, each for itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from shared.adapters.s3 import S3Store
from shared.adapters.store_setup.buckets import set_up_buckets
from shared.adapters.store_setup.kinds import StoreKind, find_kind
from shared.adapters.store_setup.report import Report, Target
from shared.errors import ConfigurationError, RetryableError
from shared.settings import Settings

_LOG: Final = logging.getLogger(__name__)
_PAUSE_S: Final = 1.0
_NO_URL: Final = "S2PS_NOTIFICATION_URL is empty: the sweep alone will find what is written"


def set_up_store(
    settings: Settings,
    *,
    kind: str = "auto",
    apply: bool = True,
    renew: bool = False,
    wait_s: float = 0.0,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Set up the store that the settings name; a second time changes nothing.

    Args:
        settings: store, credentials, buckets, receiver, token.
        kind: which store it is; ``auto`` asks it, where the settings do not say.
        apply: False looks only, and reports what would be done.
        renew: replace the topic or the subscription, whatever state it is in.
        wait_s: how long to wait for a store that does not answer yet, seconds.
        pause: waits between two tries.
        clock: seconds that go by.

    Raises:
        StoreUnavailableError: the store does not answer within ``wait_s``.
        ConfigurationError: a setting is wrong, or the store refuses our credentials.
    """
    deadline, earlier = clock() + wait_s, None
    while True:
        try:
            report = _once(settings, kind, apply=apply, renew=renew).after(earlier)
        except RetryableError as error:
            if clock() >= deadline:
                raise
            _LOG.info("store: not ready yet: %s", error)
        else:
            if not report.again or clock() >= deadline:
                return report
            earlier = report
        pause(_PAUSE_S)


def _once(settings: Settings, kind: str, *, apply: bool, renew: bool) -> Report:
    wanted = settings.store_kind if kind == "auto" else kind
    if not settings.store_endpoint and wanted != "aws":
        raise ConfigurationError("S2PS_STORE_ENDPOINT: expected the URL of the store; for AWS, say --store-kind aws")
    store = S3Store.from_settings(settings)
    found = find_kind(store.client, settings.bucket_ledger, wanted)
    report = Report(found, apply)
    set_up_buckets(store, settings, found, report)
    token = settings.notification_token.get_secret_value()
    target = Target(settings.notification_url, token, settings.bucket_ledger)
    if not target.url:
        report.add("notification", target.bucket, "manual", _NO_URL)
        return report
    with report.attempt("notification", target.bucket):
        _notifications(found, store.client, settings, target, report, renew=renew)
    return report


def _notifications(
    kind: StoreKind, client: Any, settings: Settings, target: Target, report: Report, *, renew: bool
) -> None:
    if kind == "seaweedfs":
        from shared.adapters.store_setup.seaweedfs import set_up_seaweedfs

        set_up_seaweedfs(target, report)
        return
    if kind == "minio":
        from shared.adapters.store_setup.minio import set_up_minio

        set_up_minio(client, settings, target, report, renew=renew)
        return
    from shared.adapters.store_setup.notifications import make_sns

    if kind == "ceph":
        from shared.adapters.store_setup.ceph import set_up_ceph

        set_up_ceph(client, make_sns(settings), settings, target, report, renew=renew)
    else:
        from shared.adapters.store_setup.aws import set_up_aws

        set_up_aws(client, make_sns(settings), target, report, renew=renew)
