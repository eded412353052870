"""Which store is it? By what it says of itself in the headers of any answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from botocore.exceptions import ClientError

from shared.adapters.s3_client import meaning, status_of, store_errors
from shared.errors import ConfigurationError

StoreKind: TypeAlias = Literal["aws", "ceph", "minio", "seaweedfs"]

_SERVERS: Final[Mapping[str, StoreKind]] = {
    "amazons3": "aws",
    "ceph": "ceph",
    "minio": "minio",
    "seaweedfs": "seaweedfs",
}
_KINDS: Final[Mapping[str, StoreKind]] = {kind: kind for kind in _SERVERS.values()}
# A transaction id of the RADOS gateway: "tx", its number, the time, the gateway's instance and its zone.
_TRANSACTION: Final = re.compile(r"tx[0-9a-f]{17,21}-[0-9a-f]{10}-[0-9a-f]+-.+")


def kind_of(headers: Mapping[str, str]) -> StoreKind | None:
    """The store whose answer has these headers, None where they do not tell."""
    lower = {name.lower(): value for name, value in headers.items()}
    server = lower.get("server", "").lower()
    for sign, kind in _SERVERS.items():
        if server.startswith(sign):
            return kind
    if _TRANSACTION.fullmatch(lower.get("x-amz-request-id", "")) or any(name.startswith("x-rgw-") for name in lower):
        return "ceph"
    if any(name.startswith("x-minio-") for name in lower):
        return "minio"
    return None


def find_kind(client: Any, bucket: str, wanted: str) -> StoreKind:
    """Ask the store for a bucket, whether it is there or not, and look at its answer.

    Args:
        client: the S3 client.
        bucket: the bucket to ask for.
        wanted: a kind that is known already, or ``auto``.

    Raises:
        StoreUnavailableError: the store does not answer, or not yet.
        ConfigurationError: it refuses our credentials, or does not say what it is.
    """
    try:
        with store_errors(bucket):
            try:
                answer = client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if status_of(error) != 404:
                    raise meaning(error, bucket) from error
                answer = error.response
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}: expected credentials that own the buckets of the service") from error
    kind = _KINDS.get(wanted) or kind_of(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}))
    if kind is None:
        raise ConfigurationError(
            "S2PS_STORE_KIND: the store does not say what it is; expected aws, ceph, minio or seaweedfs"
        )
    return kind
