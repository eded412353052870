"""Buckets and their lifecycle rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.adapters.s3 import S3Store
from shared.adapters.s3_client import meaning, status_of, store_errors
from shared.adapters.store_setup.kinds import StoreKind
from shared.adapters.store_setup.names import EXPIRE, UPLOADS
from shared.adapters.store_setup.report import Report
from shared.settings import Settings

SESSIONS_DAYS: Final = 30
WORK_DAYS: Final = 2
UPLOAD_DAYS: Final = 2
"""An unfinished upload is resumed within hours, or never."""

_NO_RULES: Final = frozenset({"NoSuchLifecycleConfiguration", "NoSuchLifecycle"})
_MINIO_UPLOADS: Final = "MinIO itself forgets unfinished uploads after a day (its setting api stale_uploads_expiry)"


def rules_of(settings: Settings) -> dict[str, int | None]:
    """Each bucket of the service, and after how many days its objects go; None: never."""
    return {
        settings.bucket_sessions: SESSIONS_DAYS,
        settings.bucket_auxiliary: None,
        settings.bucket_work: WORK_DAYS,
        settings.bucket_products: None,
        settings.bucket_ledger: None,
    }


def set_up_buckets(store: S3Store, settings: Settings, kind: StoreKind, report: Report) -> None:
    """Create the buckets that are not there, then see to their rules."""
    for bucket, days in rules_of(settings).items():
        with report.attempt("bucket", bucket):
            missing = not _exists(store.client, bucket)
            if missing and report.applied:
                store.ensure_bucket(bucket)
            report.add("bucket", bucket, "created" if missing else "unchanged")
            with report.attempt("lifecycle", bucket):
                _lifecycle(store.client, bucket, days, kind, report, absent=missing and not report.applied)


def _exists(client: Any, bucket: str) -> bool:
    with store_errors(bucket):
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if status_of(error) == 404:
                return False
            raise
    return True


def _lifecycle(client: Any, bucket: str, days: int | None, kind: StoreKind, report: Report, *, absent: bool) -> None:
    wanted = wanted_rules(days, uploads=kind != "minio")
    note = _MINIO_UPLOADS if kind == "minio" else ""
    found = {} if absent else _read(client, bucket)
    rules = found.get("Rules", [])
    merged = merge_rules(rules, wanted)
    if merged is None:
        report.add("lifecycle", bucket, "unchanged", note)
        return
    if report.applied:
        ask: dict[str, Any] = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": merged}}
        if size := found.get("TransitionDefaultMinimumObjectSize"):
            ask["TransitionDefaultMinimumObjectSize"] = size  # AWS would set it back to its default
        with store_errors(bucket):
            client.put_bucket_lifecycle_configuration(**ask)
    ours = any(rule.get("ID") in {EXPIRE, UPLOADS} for rule in rules)
    report.add("lifecycle", bucket, "changed" if ours else "created", note)


def _read(client: Any, bucket: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NO_RULES:
            return {}
        raise meaning(error, bucket) from error
    except Exception:
        with store_errors(bucket):
            raise
    return found


def wanted_rules(days: int | None, *, uploads: bool) -> list[dict[str, Any]]:
    """Our rules for a bucket whose objects go after ``days``; ``uploads``: the store takes one for uploads too."""
    head = {"Status": "Enabled", "Filter": {"Prefix": ""}}
    rules: list[dict[str, Any]] = []
    if days is not None:
        rules.append({"ID": EXPIRE, **head, "Expiration": {"Days": days}})
    if uploads:
        rules.append({"ID": UPLOADS, **head, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS}})
    return rules


def merge_rules(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[Any] | None:
    """The rules that a bucket is to have: others' as they are, ours as wanted. None where it has them already."""
    others = [rule for rule in found if rule.get("ID") not in {EXPIRE, UPLOADS}]
    ours = [rule for rule in found if rule.get("ID") in {EXPIRE, UPLOADS}]
    if sorted(map(_plain, ours)) == sorted(map(_plain, wanted)):
        return None
    return [*others, *wanted]


def _plain(rule: Mapping[str, Any]) -> tuple[str, str, str, int, int]:
    """A rule of ours by what it says: stores return it with its prefix in one place or the other."""
    prefix = rule.get("Prefix") or rule.get("Filter", {}).get("Prefix") or ""
    return (
        str(rule.get("ID")),
        str(rule.get("Status")),
        str(prefix),
        int(rule.get("Expiration", {}).get("Days") or 0),
        int(rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation") or 0),
    )
