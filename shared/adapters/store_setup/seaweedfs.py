"""Notifications of SeaweedFS: a file that its server reads at its start, and nothing that a client could set or see."""

from __future__ import annotations

import json

from shared.adapters.store_setup.report import Report, Target

NOTE = (
    "SeaweedFS has no interface for notifications: its filer reads them at its start, from notification.toml in its "
    "working folder, ~/.seaweedfs or /etc/seaweedfs. This set-up cannot see whether that is so. The token goes into "
    "the environment of the server, WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN. The file, whole:\n"
)


def set_up_seaweedfs(target: Target, report: Report) -> None:
    """Tell what the server needs."""
    report.add("notification", target.bucket, "manual", NOTE + notification_toml(target))


def notification_toml(target: Target) -> str:
    """The file ``notification.toml`` that sends what is written in the bucket to the receiver; no secret is in it.

    The token stands empty in it: the server takes the one of its environment.
    """
    return "\n".join(
        [
            "[notification.webhook]",
            "enabled = true",
            f"endpoint = {json.dumps(target.url)}",
            'bearer_token = ""',
            "timeout_seconds = 30",
            "workers = 8",
            'event_types = ["create", "update"]',
            f"path_prefixes = {json.dumps([f'/buckets/{target.bucket}/'])}",
        ]
    )
