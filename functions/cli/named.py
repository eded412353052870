"""What an operator's words name: sessions, products and work items, in full or by a prefix that only one has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from functions.cli.items import all_sessions, open_sessions
from functions.cli.safe import safe
from shared.bootstrap import Services
from shared.domain.names import downlink_of
from shared.errors import AbsentError, BadInputError
from shared.ledger import keys
from shared.ledger.keys import WorkKey

_SHOWN: Final = 8
_DIGEST: Final = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
_DATED: Final = re.compile(r"S2[A-D]_MSI(L1C|L2A)_(\d{4})(\d{2})(\d{2})", re.ASCII)


def only(text: str, what: str, found: Iterable[str]) -> str | None:
    """The one among ``found`` that is ``text``, or begins so; None where none does.

    BadInputError with the candidates where several do.
    """
    candidates = sorted(set(found))
    if text in candidates:
        return text
    begun = [each for each in candidates if each.startswith(text)]
    if len(first := {downlink_of(each) for each in begun}) == 1 and first <= {*begun}:
        return first.pop()  # those beside a session are called by their whole names
    if len(begun) > 1:
        shown = ", ".join(begun[:_SHOWN]) + (f" and {len(begun) - _SHOWN} more" if len(begun) > _SHOWN else "")
        raise BadInputError(f"{what} {text}", f"more of the name; {shown} begin so")
    return begun[0] if begun else None


def closest(text: str, known: Iterable[str]) -> str:
    """The end of a sentence that names what was perhaps meant; empty where nothing is like it."""
    found = difflib.get_close_matches(text, list(known), n=3, cutoff=0.6)
    return f"; closest: {', '.join(safe(each) for each in found)}" if found else ""


def find_session(services: Services, text: str) -> str | None:
    """The session that ``text`` names, or None."""
    begun = services.store.folders(services.settings.bucket_ledger, f"sessions/{text}") if text else ()
    known = [folder.removeprefix("sessions/").rstrip("/") for folder in begun]
    marked = [info.key.removeprefix(keys.OPEN) for info in services.ledger.list(keys.open_marker(text))]
    return only(text, "session", [*known, *marked])


def session_named(services: Services, text: str) -> str:
    """The session that ``text`` names. AbsentError with the closest names where there is none."""
    found = find_session(services, text)
    if found is None:
        near = closest(text, all_sessions(services))
        raise AbsentError(f"session {text}: the ledger knows nothing of it{near}")
    return found


def work_named(services: Services, text: str, session: str = "") -> WorkKey | None:
    """The work item that ``text`` names: its prefix in the ledger, the begin of its digest, or, within a session,
    ``step/unit``. None where there is none.
    """
    if text.startswith("sessions/"):
        place = keys.parse_work(f"{text.rstrip('/')}/order.json") or keys.parse_work(text)
        return place[0] if place is not None and any(True for _ in services.ledger.list(place[0].prefix)) else None
    if session and "/" in text:
        step, _, unit = text.partition("/")
        found = {place.unit: place for place in _work(services, session, f"{step}/{unit}") if place.step == step}
        named = only(unit, f"unit of {step}", found)
        return None if named is None else found[named]
    if not _DIGEST.fullmatch(text):
        return None
    for sessions in ([session],) if session else (open_sessions(services), all_sessions(services)):
        by_digest = {place.digest: place for each in sessions for place in _work(services, each)}
        named = only(text, "work item", by_digest)
        if named is not None:
            return by_digest[named]
    return None


def _work(services: Services, session: str, below: str = "") -> Iterator[WorkKey]:
    """The work items of a session, newest last: a unit's later work stands in for its earlier."""
    found: dict[WorkKey, datetime] = {}
    for info in services.ledger.list(f"{keys.session(session)}work/{below}"):
        place = keys.parse_work(info.key)
        if place is not None and place[1] == "order.json":
            found[place[0]] = info.modified
    yield from sorted(found, key=lambda each: (found[each], each.digest))


def product_keys(services: Services, text: str) -> Iterator[str]:
    """The ledger keys of products that may be called ``text``: one day's where the name tells its day."""
    dated = _DATED.match(text)
    folder = f"products/{dated[1]}/{dated[2]}/{dated[3]}/{dated[4]}/" if dated else "products/"
    for info in services.ledger.list(folder):
        yield info.key


def product_name(key: str) -> str:
    """The name of the product at a ledger key."""
    return key.rsplit("/", 1)[-1].removesuffix(".json")


def product_named(services: Services, text: str) -> str | None:
    """The ledger key of the product that ``text`` names, or None."""
    wanted = text.removesuffix(".SAFE")
    found = {product_name(key): key for key in product_keys(services, wanted)}
    named = only(wanted, "product", found) if wanted else None
    return None if named is None else found[named]
