"""The in-memory store lists as S3 does: by whole keys, whatever is in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory import MemoryStore
from shared.bootstrap import SystemClock

# Characters that sort before and after the slash, and the slash itself.
KEYS = st.text("ab-./0", min_size=1, max_size=6)
PREFIXES = st.text("ab-./0", max_size=4)


@given(
    st.lists(st.tuples(st.booleans(), KEYS), max_size=25), st.text("ab-./0", max_size=4), st.text("ab-./0", max_size=4)
)
def test_a_listing_is_that_of_the_sorted_keys(does: list[tuple[bool, str]], prefix: str, after: str) -> None:
    store, known = MemoryStore(SystemClock()), dict[str, bytes]()
    for number, (put, key) in enumerate(does):
        body = str(number).encode()
        if put:
            store.put("b", key, body)
            known[key] = body
        else:
            store.delete("b", key)
            known.pop(key, None)
    wanted = [key for key in sorted(known) if key.startswith(prefix) and key > after]
    assert [info.key for info in store.list("b", prefix, start_after=after)] == wanted
    assert {key: store.get("b", key)[0] for key in known} == known
    heads = {
        key[: key.index("/", len(prefix)) + 1] for key in known if key.startswith(prefix) and "/" in key[len(prefix) :]
    }
    assert list(store.folders("b", prefix)) == sorted(heads)
    assert all((store.head("b", key) is not None) == (key in known) for _, key in does)


@given(st.lists(st.text("ab/", min_size=1, max_size=5), max_size=25), st.sampled_from(["a", "b", "a/b", "ab"]))
def test_a_folder_is_forgotten_with_all_that_is_below_it(written: list[str], folder: str) -> None:
    store = MemoryStore(SystemClock())
    for key in written:
        store.put("b", key, b"")
    store.forget("b", f"{folder}/")
    left = {key for key in written if not key.startswith(f"{folder}/")}
    assert {key for key in written if store.head("b", key) is not None} == left
    assert [info.key for info in store.list("b")] == sorted(left)
