from __future__ import annotations

from xml.sax.saxutils import unescape

import pytest

from functions.ipf.runner.filling import fill, fill_known
from shared.errors import ConfigurationError

VALUES = {"base": "/shared/a b", "MODE": "{base}", "input:MSI_L1C_DS": "/x", "root:l2": "/wrapper"}


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert fill("{MODE}|{base}/{input:MSI_L1C_DS}", VALUES, "command") == "{base}|/shared/a b//x"
    assert fill("{root:l2}/x ${HOME} {} { base }", {**VALUES, "HOME": "h"}, "c") == "/wrapper/x $h {} { base }"


def test_a_placeholder_that_nothing_stands_for_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"command: expected one of .*MODE.*, found \{TILE\}"):
        fill("-t {TILE}", VALUES, "command")


def test_a_job_order_is_filled_as_xml() -> None:
    document = fill_known("<File_Name>{base}/{other}</File_Name>", {"base": "/a&<b>"})
    assert document == "<File_Name>/a&amp;&lt;b&gt;/{other}</File_Name>"
    assert "/a&<b>/" in unescape(document)
