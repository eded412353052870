"""Work items are sorted out of listings; what was sorted before stands only where the listing is the same."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.attempts import Sorting, sort_work
from shared.ledger.keys import WorkKey
from shared.ports import ObjectInfo

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLACES = [WorkKey("S", "l1c", unit, digest * 64) for unit in ("DT01", "DT01-T32TQM") for digest in "ab"]
RESTS = [
    "attempts/1.json", "attempts/1.ended.json", "attempts/12.json", "attempts/x.json", "auxiliary.json",
    "grants/1-0123.json", "grants/²-0.json", "hold.json", "joborder.xml", "order.json", "outcome.json", "waiting.json",
]  # fmt: skip
KEYS = [
    "sessions/S/complete.json",
    "sessions/S/work/l1c/DT01/none/order.json",
    PLACES[0].prefix,
    *(f"{place.prefix}{rest}" for place in PLACES for rest in RESTS),
]
LISTINGS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["e1", "e2"]), max_size=40).map(
    lambda etags: [ObjectInfo(key, 1, etags[key], NOW) for key in sorted(etags)]
)


@given(st.lists(LISTINGS, max_size=4))
def test_listings_one_after_the_other_are_sorted_as_each_alone(listings: list[list[ObjectInfo]]) -> None:
    sorting = Sorting()
    for listing in listings:
        assert sorting.sort(listing) == sort_work(listing)


@given(LISTINGS, st.data())
def test_one_change_is_seen(listing: list[ObjectInfo], data: st.DataObject) -> None:
    sorting = Sorting()
    sorting.sort(listing)
    info = data.draw(st.sampled_from([ObjectInfo(key, 2, "e3", NOW) for key in KEYS]))
    others = [each for each in listing if each.key != info.key]
    for changed in (others, sorted([*others, info], key=lambda each: each.key)):
        assert sorting.sort(changed) == sort_work(changed)


@given(LISTINGS)
def test_what_is_found_is_what_stands_below_the_work(listing: list[ObjectInfo]) -> None:
    found = sort_work(reversed(listing))
    assert {info.key for info in listing if info.key.endswith("/order.json") and "none" not in info.key} == {
        work.order.key for work in found.values() if work.order is not None
    }
    for prefix, work in found.items():
        below = {info.key.removeprefix(prefix): info for info in listing if info.key.startswith(prefix)}
        assert work.place.prefix == prefix
        assert (work.hold, work.written, work.waiting) == tuple(
            below.get(name) for name in ("hold.json", "outcome.json", "waiting.json")
        )
        assert work.attempts == {n: below[f"attempts/{n}.json"] for n in (1, 12) if f"attempts/{n}.json" in below}
        assert work.ended == ({1: below["attempts/1.ended.json"]} if "attempts/1.ended.json" in below else {})
        assert work.grants == ({(1, "0123")} if "grants/1-0123.json" in below else set())


def test_what_is_the_same_is_not_sorted_again() -> None:
    sorting, listing = Sorting(), [ObjectInfo(place.order, 1, "e", NOW) for place in PLACES]
    before = sorting.sort(listing)
    after = sorting.sort([*listing[:-1], ObjectInfo(PLACES[-1].order, 1, "other", NOW)])
    same = [prefix for prefix in before if after[prefix] is before[prefix]]
    assert same == [place.prefix for place in PLACES[:-1]]
