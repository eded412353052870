"""A sensor model as one file (.npz): what it was made from, to be made again by another process, bit by bit."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np

from shared.errors import BadInputError
from shared.geometry.datastrip import Datastrip
from shared.geometry.frames import EarthOrientation
from shared.geometry.gipp import SpacecraftModel, ViewingDirections
from shared.geometry.model import SensorModel

if TYPE_CHECKING:
    from pathlib import Path

    from shared.geometry.frames import Floats
    from shared.geometry.instrument import Instrument

_SERIES: Final = ("positions", "velocities", "quaternions")
_TIMES: Final = ("positions_ns", "attitudes_ns")
_PLAIN: Final = ("name", "level", "satellite", "start_ns", "stop_ns", "line_period_ns", "tdi", "granules")


def save_model(path: Path, strip: Datastrip, instrument: Instrument) -> None:
    """Write what ``load_model`` needs. A datastrip with refining cannot be kept: ValueError."""
    if strip.refining is not None:
        raise ValueError(f"{strip.name}: expected a datastrip without refining")
    head = {name: getattr(strip, name) for name in _PLAIN}
    head["orientation"] = asdict(strip.orientation)
    head["first_line_ns"] = [[*place, time] for place, time in strip.first_line_ns.items()]
    arrays: dict[str, Any] = {name: getattr(strip, name) for name in _SERIES}
    arrays |= {name: np.array(getattr(strip, name), np.int64) for name in _TIMES}
    for viewing in instrument.viewing:
        for tdi, detectors in viewing.directions.items():
            arrays |= {f"look/{viewing.band}/{tdi}/{detector}": values for detector, values in detectors.items()}
    spacecraft = instrument.spacecraft
    arrays["piloting"] = spacecraft.piloting_to_msi
    arrays |= {f"plane/{plane}": matrix for plane, matrix in spacecraft.msi_to_focal_plane.items()}
    for (plane, detector), matrix in spacecraft.focal_plane_to_detector.items():
        arrays[f"detector/{plane}/{detector}"] = matrix
    with path.open("wb") as file:
        np.savez(file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)


def load_model(path: Path) -> SensorModel:
    """The sensor model of a file; BadInputError naming it where it is not one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            head = json.loads(archive["head"].tobytes())
            return _model(head, {name: archive[name] for name in archive.files})
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise BadInputError(path.name, "the parameters of a sensor model", str(error)) from None


def _model(head: dict[str, Any], arrays: dict[str, Any]) -> SensorModel:
    plain = {name: head[name] for name in _PLAIN if name != "granules"}
    strip = Datastrip(
        **plain,
        granules={name: (int(place[0]), int(place[1])) for name, place in head["granules"].items()},
        orientation=EarthOrientation(**head["orientation"]),
        first_line_ns={(str(band), int(detector)): int(time) for band, detector, time in head["first_line_ns"]},
        positions_ns=tuple(arrays["positions_ns"].tolist()),
        attitudes_ns=tuple(arrays["attitudes_ns"].tolist()),
        positions=_floats(arrays["positions"], 3),
        velocities=_floats(arrays["velocities"], 3),
        quaternions=_floats(arrays["quaternions"], 4),
        refining=None,
        quicklook=None,
    )
    looks: dict[str, dict[str, dict[int, Floats]]] = {}
    planes: dict[str, Floats] = {}
    detectors: dict[tuple[str, int], Floats] = {}
    for name, values in arrays.items():
        match name.split("/"):
            case ["look", band, tdi, detector]:
                looks.setdefault(band, {}).setdefault(tdi, {})[int(detector)] = _floats(values)
            case ["plane", plane]:
                planes[plane] = _floats(values, 3)
            case ["detector", plane, detector]:
                detectors[plane, int(detector)] = _floats(values, 3)
    viewing = [ViewingDirections(strip.satellite, band, lists) for band, lists in looks.items()]
    spacecraft = SpacecraftModel(strip.satellite, _floats(arrays["piloting"], 3), planes, detectors)
    return SensorModel(strip, viewing, spacecraft, bridged=True)


def _floats(values: Any, columns: int | None = None) -> Floats:
    found = np.ascontiguousarray(values, np.float64)
    if found.ndim != 2 or columns not in (None, found.shape[1]) or not np.isfinite(found).all():
        raise ValueError(f"expected a table of finite numbers, {columns or 'any'} columns, found {found.shape}")
    return found
