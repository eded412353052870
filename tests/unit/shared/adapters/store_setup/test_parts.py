"""The parts of a store's set-up that ask nobody: what it is, what its rules are to be, what things are called."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.adapters.store_setup import setup
from shared.adapters.store_setup.buckets import merge_rules, wanted_rules
from shared.adapters.store_setup.ceph import next_name
from shared.adapters.store_setup.kinds import kind_of
from shared.adapters.store_setup.names import topic_of
from shared.adapters.store_setup.report import Report, Target
from shared.adapters.store_setup.seaweedfs import notification_toml
from shared.adapters.store_setup.setup import set_up_store
from shared.errors import StoreUnavailableError
from shared.settings import Settings


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"Server": "AmazonS3", "x-amz-request-id": "C3D13FE58DE4C810"}, "aws"),
        ({"server": "MinIO"}, "minio"),
        ({"server": "SeaweedFS 8000GB 4.48"}, "seaweedfs"),
        ({"Server": "Ceph Object Gateway (squid)"}, "ceph"),
        ({"x-amz-request-id": "tx000005803dbf8eaaf61da-006b02d1f2-1033-default"}, "ceph"),
        ({"server": "nginx", "x-amz-request-id": "tx00000a1bd9efec92ee428-006b02d1f2-1033-zone-b"}, "ceph"),
        ({"server": "envoy", "X-RGW-Object-Count": "0"}, "ceph"),
        ({"server": "nginx", "x-minio-deployment-id": "x"}, "minio"),
        ({"server": "nginx", "x-amz-request-id": "C3D13FE58DE4C810"}, None),
        ({}, None),
    ],
)
def test_stores_are_known_by_their_answers(headers: dict[str, str], kind: str | None) -> None:
    assert kind_of(headers) == kind


RULES = st.lists(
    st.fixed_dictionaries(
        {"ID": st.sampled_from(["theirs", "s2ps-expire", "s2ps-uploads", "x"]), "Status": st.just("Enabled")},
        optional={
            "Expiration": st.fixed_dictionaries({"Days": st.integers(1, 90)}),
            "Prefix": st.sampled_from(["", "a/"]),
        },
    ),
    max_size=4,
)


@given(found=RULES, days=st.none() | st.integers(1, 60), uploads=st.booleans())
def test_rules_are_merged_once_and_others_are_kept(found: list[Any], days: int | None, uploads: bool) -> None:
    wanted = wanted_rules(days, uploads=uploads)
    merged = merge_rules(found, wanted)
    after = found if merged is None else merged
    assert merge_rules(after, wanted) is None
    theirs = [rule for rule in found if not rule["ID"].startswith("s2ps-")]
    assert [rule for rule in after if not rule["ID"].startswith("s2ps-")] == theirs


def test_a_rule_is_known_wherever_the_store_puts_its_prefix() -> None:
    wanted = wanted_rules(30, uploads=True)
    shown = [{**{k: v for k, v in rule.items() if k != "Filter"}, "Prefix": ""} for rule in wanted]
    assert merge_rules(list(reversed(shown)), wanted) is None
    assert merge_rules([{**shown[0], "Status": "Disabled"}, shown[1]], wanted) == wanted


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (set(), "t"),
        ({"other", "t-x", "tt", "t-2-x", "t-"}, "t"),
        ({"t"}, "t-2"),
        ({"t-3"}, "t-4"),
        ({"t", "t-9", "t-10"}, "t-11"),
    ],
)
def test_no_topic_is_given_a_name_that_one_has(taken: set[str], name: str) -> None:
    assert next_name("t", taken) == name


def test_a_topic_is_named_after_its_bucket() -> None:
    assert topic_of("s2-ledger") == "s2ps-s2-ledger"
    assert topic_of("a.b") == "s2ps-a_b"


def test_what_seaweedfs_needs_is_a_file_that_can_be_read_and_holds_no_secret() -> None:
    text = notification_toml(Target('http://x/"y', "secret", "s2-ledger"))
    webhook = tomllib.loads(text)["notification"]["webhook"]
    assert webhook["endpoint"] == 'http://x/"y'
    assert webhook["path_prefixes"] == ["/buckets/s2-ledger/"]
    assert "secret" not in text


def test_a_later_attempt_tells_what_an_earlier_one_did() -> None:
    first, second = Report("ceph", applied=True), Report("ceph", applied=True)
    first.add("bucket", "a", "created")
    first.add("bucket", "b", "failed")
    second.add("bucket", "a", "unchanged")
    second.add("bucket", "b", "created")
    assert [item.state for item in second.after(first).items] == ["created", "created"]


def test_a_store_that_does_not_answer_is_waited_for_as_long_as_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0

    def refuse(*_: object) -> None:
        raise StoreUnavailableError("not there")

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(setup, "find_kind", refuse)
    settings = Settings(
        store_endpoint="http://127.0.0.1:9", store_access_key=SecretStr("a"), store_secret_key=SecretStr("b")
    )
    with pytest.raises(StoreUnavailableError):
        set_up_store(settings, wait_s=30, pause=pause, clock=lambda: now)
    assert 130 <= now <= 132
    with pytest.raises(StoreUnavailableError):
        set_up_store(settings, pause=pause, clock=lambda: now)
    assert now <= 132
