"""``s2ps drops``."""

from __future__ import annotations

from shared.ledger import keys
from shared.ledger.records import Drop
from tests.unit.functions.cli.conftest import T0, Desk


def test_what_came_of_each_drop_is_listed(desk: Desk) -> None:
    assert desk.run("drops").stdout == "Nothing was dropped.\n"
    taken = Drop(created=T0, came=T0, place="s3://s2-inbox/a.zip", session="given-X")
    bad = Drop(created=T0, came=T0, place="s3://s2-inbox/b.zip", refused="archive b.zip: expected a .zip")
    desk.write(keys.drop("a.zip", "1" * 24), taken)
    desk.write(keys.drop("b.zip", "2" * 24), bad)
    lines = desk.run("drops", "--no-headers").stdout.splitlines()
    assert [line.split()[1:3] for line in lines] == [["a.zip", "given-X"], ["b.zip", "archive"]]
    assert desk.run("drops", "--refused", "-o", "name").stdout.split() == [keys.drop("b.zip", "2" * 24)]
    found = desk.ask("drops")
    assert found["kind"] == "DropList"
    assert [item["session"] for item in found["items"]] == ["given-X", ""]
