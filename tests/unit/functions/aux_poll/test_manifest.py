"""What the function's manifest grants, against what its code may take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from eventing.cron import Schedule
from eventing.manifests import PingSource, Service, load_manifests
from shared.auxiliary.intake import LARGEST_ZIP
from shared.settings import Settings

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
