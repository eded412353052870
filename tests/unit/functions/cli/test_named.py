"""Names in full or by their begin; what is ambiguous is refused with the candidates."""

from __future__ import annotations

import pytest

from functions.cli.named import find_session, only, product_named, session_named, work_named
from shared.errors import AbsentError, BadInputError
from shared.ledger import keys
from tests.unit.functions.cli.conftest import SESSION, T0, Desk
from tests.unit.functions.cli.test_why import PUBLISHED

OTHER = "S2A_20261122120000057406"


@pytest.fixture
def two(desk: Desk) -> Desk:
    for session in (SESSION, OTHER):
        desk.open(session)
    desk.complete()
    return desk


def test_a_begin_that_one_has_will_do(two: Desk) -> None:
    assert session_named(two.services, "S2A_2026112210") == SESSION
    assert session_named(two.services, OTHER) == OTHER


def test_a_begin_that_several_have_is_refused_with_them() -> None:
    with pytest.raises(BadInputError, match=f"{SESSION}, {OTHER} begin so"):
        only("S2A_", "session", [OTHER, SESSION])
    with pytest.raises(BadInputError, match="x7 and 2 more begin so"):
        only("x", "session", [f"x{number}" for number in range(10)])


def test_a_begin_means_the_session_of_a_station_not_those_beside_it() -> None:
    beside = [f"{SESSION}-{number}" for number in (2, 3)]
    assert only("S2A_2026", "session", [SESSION, *beside]) == SESSION
    assert only(f"{SESSION}-3", "session", [SESSION, *beside]) == beside[1]
    with pytest.raises(BadInputError, match="more of the name"):
        only("S2A_2026", "session", [SESSION, OTHER, *beside])


def test_a_whole_name_is_never_ambiguous() -> None:
    assert only("S", "session", ["S", "SS"]) == "S"
    assert only("T", "session", ["S", "SS"]) is None


def test_an_unknown_session_is_absent(two: Desk) -> None:
    assert find_session(two.services, "S2B") is None
    with pytest.raises(AbsentError, match=f"closest: .*{SESSION}"):
        session_named(two.services, SESSION[:-1] + "9")


def test_a_work_item_by_key_digest_or_unit(two: Desk) -> None:
    first = two.order("l1c", "DT01-T32TMQ", "abcdef01".ljust(64, "0"))
    second = two.order("l2a", "DT01-T32TMQ", "abcdef02".ljust(64, "0"))
    named = two.services
    for text in (first.prefix, first.prefix.rstrip("/"), first.order, "abcdef01"):
        assert work_named(named, text) == first
    assert work_named(named, "l2a/DT01-T32TMQ", SESSION) == second
    assert work_named(named, "l2a/DT01", SESSION) == second
    for text in ("l2a/DT02", "ffffff", "l1", first.prefix.replace("l1c", "l0u"), "sessions/x"):
        assert work_named(named, text, SESSION) is None
    with pytest.raises(BadInputError, match="begin so"):
        work_named(named, "abcdef0")


def test_work_of_closed_sessions_is_found_too(two: Desk) -> None:
    place = two.order("l1c", "DT01-T32TMQ", "abcdef01".ljust(64, "0"))
    two.store.delete("s2-ledger", keys.open_marker(SESSION))
    assert work_named(two.services, "abcdef") == place


def test_later_work_on_a_unit_stands_for_the_earlier(two: Desk) -> None:
    two.order("l1c", "DT01", "e" * 64)
    two.at(5)
    later = two.order("l1c", "DT01", "a" * 64)
    assert work_named(two.services, "l1c/DT01", SESSION) == later


def test_a_product_with_and_without_its_extension(two: Desk) -> None:
    key = keys.product("L1C", T0, PUBLISHED.product)
    two.write(key, PUBLISHED)
    for text in (PUBLISHED.product, f"{PUBLISHED.product}.SAFE", "S2A_MSIL1C", "S2A_MSIL1C_20261122T0930"):
        assert product_named(two.services, text) == key
    assert product_named(two.services, "") is None
    assert product_named(two.services, "S2A_MSIL2A_20261122") is None
