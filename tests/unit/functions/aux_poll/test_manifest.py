"""What the function's manifest grants, against what its code may take."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from eventing.cron import Schedule
from eventing.manifests import PingSource, Service, load_manifests
from shared.auxiliary.intake import LARGEST_ZIP
from shared.bootstrap import Services
from shared.places import AuxipSettings
from shared.settings import Settings, wrong_settings

MANIFESTS = load_manifests(Path(__file__).resolve().parents[4] / "knative" / "base")
(SERVICE,) = (each for each in MANIFESTS if isinstance(each, Service) and each.metadata.name == "aux-poll")
(SOURCE,) = (each for each in MANIFESTS if isinstance(each, PingSource) and each.metadata.name == "aux-poll")


def test_a_request_outlasts_its_budget_by_the_largest_file() -> None:
    settings = Settings()
    left = SERVICE.spec.template.spec.timeout_s - settings.aux_budget_s
    assert left >= settings.aux_largest_mb / 10  # at 10 MiB a second, a quarter of what sources were seen to give


def test_a_zip_fits_on_the_disk_of_its_container() -> None:
    (tmp,) = (volume for volume in SERVICE.spec.template.spec.volumes if volume.name == "tmp")
    assert tmp.empty_dir is not None
    size = str(tmp.empty_dir.size_limit)
    assert size.endswith("Mi")
    assert int(size.removesuffix("Mi")) << 20 > LARGEST_ZIP


def test_two_ticks_make_no_more_than_two_minutes() -> None:
    noon = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
    schedule = Schedule.parse(SOURCE.spec.schedule)
    first = schedule.next(noon)
    assert schedule.next(first) - first <= timedelta(seconds=60)


def test_sources_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = {"kind": "oauth2", "user": "us", "password": "hush", "token_url": "https://auth.example/t", "client_id": "c"}
    given = [{"name": "adgs", "url": "https://adgs.example/odata/v1", "auth": auth, "excluded": ["GIP_PROBA2"]}]
    monkeypatch.setenv("S2PS_AUXIP", json.dumps(given))
    (source,) = Settings().auxip
    assert (source.name, source.auth.kind, source.excluded) == ("adgs", "oauth2", ("GIP_PROBA2",))
    assert list(Services(Settings()).auxip) == ["adgs"]
    assert "hush" not in repr(source)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "ftp://adgs.example"}, r"S2PS_AUXIP\.0\.URL"),
        ({"name": "ADGS/.."}, r"S2PS_AUXIP\.0\.NAME"),
        ({"auth": {"kind": "basic", "password": "hush"}}, r"S2PS_AUXIP\.0\.AUTH: .*user: expected a value"),
        ({"overlap": 5}, r"S2PS_AUXIP\.0\.OVERLAP: Extra"),
        ({"name_prefix": "S2') or contains(Name,'"}, r"S2PS_AUXIP\.0\.NAME_PREFIX"),
    ],
)
def test_a_wrong_source_is_refused_by_its_name_and_no_secret_is_shown(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(auxip=[{"name": "adgs", "url": "https://adgs.example", **change}])
    shown = str(wrong_settings(caught.value))
    assert re.search(told, shown)
    assert "hush" not in shown


def test_two_sources_of_one_name_are_refused() -> None:
    source = AuxipSettings(name="adgs", url="https://adgs.example")
    with pytest.raises(ValidationError, match="each once"):
        Settings(auxip=(source, source))
