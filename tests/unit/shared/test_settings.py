"""A wrong setting is named, and its value is not shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import ConfigurationError
from shared.settings import load_settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("S2PS_STATIONS", '[{"password": "hush"'),
        ("S2PS_IMAGES", "{hush"),
        ("S2PS_IMAGES", '["hush"]'),
        ("S2PS_JOB_PRIORITIES", "[[30, hush]]"),
        ("S2PS_JOB_PRIORITIES", '[["hush", 30]]'),
        ("S2PS_JOB_QUEUE", "Hush"),
        ("S2PS_JOB_WAIT_S", "hush"),
        ("S2PS_STORE_ENDPOINT", "hush"),
        ("S2PS_BUCKET_LEDGER", "hush/../\u00c9"),
    ],
)
def test_the_wrong_variable_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"^{variable}\b") as raised:
        load_settings()
    assert "hush" not in str(raised.value).lower()


def test_objects_and_lists_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2PS_IMAGES", '{"ipf": "registry.example/ipf:7"}')
    monkeypatch.setenv("S2PS_JOB_PRIORITIES", '[[30, "urgent"], [75, "soon"]]')
    settings = load_settings()
    assert settings.images == {"ipf": "registry.example/ipf:7"}
    assert settings.job_priorities == ((30.0, "urgent"), (75.0, "soon"))
