from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.memory import MemoryStore
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account
from shared.sla.chain import Link, account_digest, append, verify

NOW = datetime(2026, 11, 22, 23, 50, tzinfo=UTC)
SESSIONS = [f"S2A_2026112210{n:02d}00057405" for n in range(5)]


class Still:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(MemoryStore(Still()), "s2-ledger", Still())


def account(session: str, produced: int = 1) -> Account:
    return Account(created=NOW, session=session, t0=NOW, entries=(), produced=produced, absent=0, parked=0)


def close(ledger: Ledger, session: str, when: datetime = NOW) -> Link | None:
    ledger.create(keys.account(session), account(session))
    return append(ledger, session, account_digest(ledger, session), when)


def wrong(ledger: Ledger) -> list[str]:
    return [each for verdict in verify(ledger) for each in verdict.wrong]


def links(ledger: Ledger) -> list[str]:
    return [info.key for info in ledger.list("chain/")]


def test_a_chain_goes_on_over_midnight_and_can_be_walked(ledger: Ledger) -> None:
    made = [close(ledger, session, NOW + timedelta(minutes=4 * n)) for n, session in enumerate(SESSIONS)]
    assert links(ledger) == [
        "chain/S2A/20261122/000001.json",
        "chain/S2A/20261122/000002.json",
        "chain/S2A/20261122/000003.json",
        "chain/S2A/20261123/000001.json",
        "chain/S2A/20261123/000002.json",
    ]
    (verdict,) = verify(ledger)
    assert made[-1] is not None
    assert (verdict.satellite, verdict.links, verdict.head, verdict.wrong) == ("S2A", 5, made[-1].digest, ())


def test_satellites_have_chains_of_their_own(ledger: Ledger) -> None:
    for session in (SESSIONS[0], SESSIONS[1].replace("S2A", "S2B"), "L20191003131732787001008"):
        close(ledger, session)
    assert [(each.satellite, each.links) for each in verify(ledger)] == [("S2A", 1), ("S2B", 1), ("none", 1)]


def test_an_account_has_one_link_however_often_it_is_asked_for(ledger: Ledger) -> None:
    assert close(ledger, SESSIONS[0]) is not None
    assert close(ledger, SESSIONS[1]) is not None
    assert close(ledger, SESSIONS[0]) is None
    assert len(links(ledger)) == 2


def test_two_writers_at_once_make_two_links(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer comes between the first one's look at the head and its write."""
    first, create = True, Ledger.create

    def slow(self: Ledger, key: str, record: object) -> bool:
        nonlocal first
        if first and key.startswith("chain/"):
            first = False
            close(self, SESSIONS[1])
        return create(self, key, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "create", slow)
    close(ledger, SESSIONS[0])
    assert len(links(ledger)) == 2
    assert wrong(ledger) == []


def test_an_account_that_was_changed_is_found(ledger: Ledger) -> None:
    for session in SESSIONS:
        close(ledger, session)
    ledger.store.put("s2-ledger", keys.account(SESSIONS[2]), account(SESSIONS[2], produced=9).to_json())
    (found,) = wrong(ledger)
    assert SESSIONS[2] in found
    assert "is not the one that was closed" in found


def test_an_account_that_was_removed_is_found(ledger: Ledger) -> None:
    close(ledger, SESSIONS[0])
    ledger.delete(keys.account(SESSIONS[0]))
    (found,) = wrong(ledger)
    assert "has no account" in found


@pytest.mark.parametrize("gone", ["000001", "000003"])
def test_a_link_that_was_taken_out_is_found(ledger: Ledger, gone: str) -> None:
    for session in SESSIONS:
        close(ledger, session)
    ledger.delete(f"chain/S2A/20261122/{gone}.json")
    assert any("expected number" in each for each in wrong(ledger))
    assert any("does not follow" in each for each in wrong(ledger))


def test_a_day_that_was_taken_out_is_found(ledger: Ledger) -> None:
    for n, session in enumerate(SESSIONS):
        close(ledger, session, NOW + timedelta(minutes=4 * n))
    for number in (1, 2, 3):
        ledger.delete(f"chain/S2A/20261122/{number:06d}.json")
    (found,) = wrong(ledger)
    assert "chain/S2A/20261123/000001.json" in found


def test_a_link_that_was_rewritten_is_found(ledger: Ledger) -> None:
    for session in SESSIONS:
        close(ledger, session)
    key = "chain/S2A/20261122/000002.json"
    forged = ledger.read(key, Link).model_copy(update={"session": SESSIONS[0]})
    ledger.store.put("s2-ledger", key, forged.to_json())
    assert any("its digest" in each for each in wrong(ledger))
    ledger.store.put("s2-ledger", key, b"{}")
    assert any(key in each for each in wrong(ledger))


def test_a_new_account_of_a_session_that_was_opened_again_is_linked_too(ledger: Ledger) -> None:
    for session in SESSIONS:
        close(ledger, session)
    ledger.store.put("s2-ledger", keys.account(SESSIONS[1]), account(SESSIONS[1], produced=9).to_json())
    append(ledger, SESSIONS[1], account_digest(ledger, SESSIONS[1]), NOW)
    assert wrong(ledger) == []
