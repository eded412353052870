"""Set-up on MinIO, against a server made after its sources: no real one can be installed where tests run."""

from __future__ import annotations

from collections.abc import Iterator

import botocore.session
import pytest
from pydantic import SecretStr

from shared.adapters.store_setup import minio as module
from shared.adapters.store_setup.minio import read_target
from shared.adapters.store_setup.report import Report
from shared.adapters.store_setup.setup import set_up_store
from shared.settings import Settings
from tests.support.minio import ACCESS, SECRET, Minio

URL = "http://object-events.s2ps.svc/"
TOKEN = "to/ken=+é"


_SESSION = botocore.session.Session()


@pytest.fixture(autouse=True)
def _one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session reads the models of S3 once, which takes longer than all else here."""
    monkeypatch.setattr(botocore.session, "Session", lambda: _SESSION)


@pytest.fixture
def minio() -> Iterator[Minio]:
    made = Minio()
    yield made
    made.close()


def settings(server: Minio, token: str = TOKEN) -> Settings:
    return Settings(
        store_endpoint=server.url,
        store_access_key=SecretStr(ACCESS),
        store_secret_key=SecretStr(SECRET),
        notification_url=URL,
        notification_token=SecretStr(token),
    )


def states(report: Report, *kinds: str) -> list[str]:
    return [item.state for item in report.items if not kinds or item.kind in kinds]


def test_all_is_made_once(minio: Minio) -> None:
    report = set_up_store(settings(minio))
    assert report.store == "minio"
    assert states(report, "bucket", "webhook", "notification") == ["created"] * 7
    assert minio.stored["s2ps"] == {"enable": "on", "endpoint": URL, "auth_token": f"Bearer {TOKEN}"}
    assert minio.restarts == 1
    assert minio.arn("s2ps").encode() in minio.buckets["s2-ledger"]["notification"]
    minio.changes.clear()
    again = set_up_store(settings(minio))
    assert set(states(again)) == {"unchanged"}
    assert (minio.changes, minio.restarts) == ([], 1)


def test_rules_that_minio_does_not_know_are_not_asked_of_it(minio: Minio) -> None:
    report = set_up_store(settings(minio))
    ruled = {item.name: item for item in report.items if item.kind == "lifecycle"}
    assert {name for name, item in ruled.items() if item.state == "created"} == {"s2-sessions", "s2-work"}
    assert all("unfinished uploads" in item.note for item in ruled.values())


@pytest.mark.parametrize("region", ["", "eu-central-1"])
def test_the_arn_is_the_servers_own(region: str) -> None:
    server = Minio(region=region)
    assert "failed" not in states(set_up_store(settings(server)))
    assert f"arn:minio:sqs:{region}:s2ps:webhook".encode() in server.buckets["s2-ledger"]["notification"]
    server.close()


def test_a_token_that_is_not_shown_is_written_again_by_renew(minio: Minio) -> None:
    set_up_store(settings(minio))
    changed = settings(minio, "other")
    report = set_up_store(changed)
    (webhook,) = [item for item in report.items if item.kind == "webhook"]
    assert (webhook.state, "--renew" in webhook.note) == ("unchanged", True)
    assert states(set_up_store(changed, renew=True), "webhook") == ["changed"]
    assert minio.stored["s2ps"]["auth_token"] == "Bearer other"


def test_a_token_that_is_shown_is_compared() -> None:
    server = Minio(shows_token=True)
    set_up_store(settings(server))
    assert states(set_up_store(settings(server)), "webhook") == ["unchanged"]
    assert states(set_up_store(settings(server, "other")), "webhook") == ["changed"]
    server.close()


def test_a_target_that_the_servers_environment_sets_is_taken_as_it_is(minio: Minio) -> None:
    minio.environment = f"# MINIO_NOTIFY_WEBHOOK_ENABLE_S2PS=on\n# MINIO_NOTIFY_WEBHOOK_ENDPOINT_S2PS={URL}"
    minio.active = {"S2PS"}
    assert states(set_up_store(settings(minio)), "webhook", "notification") == ["unchanged", "created"]
    assert minio.restarts == 0


def test_a_dry_run_changes_nothing(minio: Minio) -> None:
    assert states(set_up_store(settings(minio), apply=False), "webhook", "notification") == ["created", "created"]
    assert (minio.changes, minio.restarts) == ([], 0)


def test_a_receiver_that_is_not_there_is_told_in_the_servers_words(minio: Minio) -> None:
    minio.receiver_is_there = False
    report = set_up_store(settings(minio))
    (failed,) = [item for item in report.items if item.state == "failed"]
    assert "not connected to target" in failed.note
    assert TOKEN not in failed.note


@pytest.mark.parametrize("token", ['a"b', "a b", "a\\b"])
def test_a_token_that_minio_cannot_hold_is_refused_before_it_is_sent(minio: Minio, token: str) -> None:
    report = set_up_store(settings(minio, token))
    (failed,) = [item for item in report.items if item.state == "failed"]
    assert "S2PS_NOTIFICATION_TOKEN" in failed.note
    assert token not in failed.note
    assert minio.stored == {}


def test_who_is_no_administrator_is_told_what_to_ask_of_one(minio: Minio) -> None:
    minio.admin = False
    report = set_up_store(settings(minio))
    (manual,) = [item for item in report.items if item.state == "manual"]
    assert "mc admin config set ALIAS notify_webhook:s2ps" in manual.note
    assert TOKEN not in manual.note
    assert states(report, "bucket") == ["created"] * 5


def test_a_server_that_comes_back_without_the_target_is_told(minio: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESTART_S", 0.0)
    minio.stored = {}
    monkeypatch.setattr(Minio, "_set", lambda *_: (200, b""))
    report = set_up_store(settings(minio))
    assert states(report, "notification") == ["failed"]
    assert report.again


def test_targets_are_read_as_the_server_shows_them() -> None:
    text = (
        "# MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_S2PS=/queue\n"
        "notify_webhook enable=off endpoint= auth_token=\n"
        'notify_webhook:s2ps endpoint=http://x/ auth_token="Bearer a b" queue_dir= \n'
        "notify_webhook:s2ps2 endpoint=http://other/ \n"
    )
    assert read_target(text) == {"endpoint": "http://x/", "auth_token": "Bearer a b", "queue_dir": "/queue"}
    assert read_target("notify_webhook enable=off endpoint=\n") is None
    assert read_target('notify_webhook:s2ps endpoint="http://x/\n') == {"endpoint": '"http://x/'}
