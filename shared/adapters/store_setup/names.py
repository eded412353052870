"""Names of what is set up on a store. Everything of ours starts with ``s2ps-``; what others made is left alone."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "s2ps-"
EXPIRE: Final = "s2ps-expire"
UPLOADS: Final = "s2ps-uploads"
WEBHOOK: Final = "s2ps"
"""The id of the webhook target on MinIO."""


def topic_of(bucket: str) -> str:
    """The topic (and the id of the bucket notification) that tells of ``bucket``: letters, digits, ``-``, ``_``."""
    return PREFIX + bucket.replace(".", "_")
