"""What the function's manifest grants, against what its code may take."""

from __future__ import annotations

from pathlib import Path

from eventing.manifests import Service, load_manifests
from functions.product_intake import step
from shared.steering import packed

MANIFESTS = load_manifests(Path(__file__).resolve().parents[4] / "knative" / "base")
(SERVICE,) = (each for each in MANIFESTS if isinstance(each, Service) and each.metadata.name == "product-intake")
_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def octets(quantity: object) -> int:
    text = str(quantity)
    return int(text[:-2]) * _UNITS[text[-2:]]


def test_an_archive_fits_on_its_disk_packed_and_unpacked() -> None:
    (tmp,) = (volume for volume in SERVICE.spec.template.spec.volumes if volume.name == "tmp")
    assert tmp.empty_dir is not None
    assert octets(tmp.empty_dir.size_limit) > 2 * packed._MOST_OCTETS
    resources = SERVICE.spec.template.spec.containers[0].resources
    assert resources is not None
    assert octets(resources.limits["ephemeral-storage"]) > octets(tmp.empty_dir.size_limit)


def test_a_request_outlasts_its_budget_by_the_largest_product() -> None:
    left = SERVICE.spec.template.spec.timeout_s - step._BUDGET.total_seconds()
    assert left >= 3 * packed._MOST_OCTETS / (20 << 20)  # fetched, unpacked, brought: each at 20 MiB/s
