"""A datastrip's geometry from its own packets, as they come from the satellite or stand in Level-0 products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.datastrip import Datastrip
from shared.geometry.instrument import TDI, TDI_BANDS
from shared.geometry.model import SensorModel
from shared.msi.instrument import LINE_PERIOD_NS, LINES_PER_SCENE_10M, SCENE_NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.geometry.frames import EarthOrientation
    from shared.geometry.instrument import Instrument
    from shared.msi.packets import AttitudePoint, DatatakeDescriptor, GpsPoint

_ENOUGH: Final = 8
_AROUND_NS: Final = 600_000_000_000


def telemetry_strip(
    descriptor: DatatakeDescriptor,
    gps: Sequence[GpsPoint],
    attitudes: Sequence[AttitudePoint],
    orientation: EarthOrientation,
    first_line_ns: Mapping[tuple[str, int], int],
) -> Datastrip:
    """The datastrip that packets describe.

    Args:
        descriptor: what is acquired.
        gps: fixes, any order; of two with one time the last is kept. At least 8 within ten minutes of the lines; those
            of other times are left out.
        attitudes: quaternions, likewise.
        orientation: of the Earth, which no packet tells.
        first_line_ns: when line 0 of each (band name, detector) begins.
    """
    begin = descriptor.first_line_ns - _AROUND_NS
    end = descriptor.first_line_ns + round(SCENE_NS * descriptor.scenes) + _AROUND_NS
    fixes = {point.gps_ns: point for point in gps if begin < point.gps_ns < end}
    samples = {point.gps_ns: point for point in attitudes if begin < point.gps_ns < end}
    if min(len(fixes), len(samples)) < _ENOUGH:
        raise BadInputError(
            "ancillary data",
            f"at least {_ENOUGH} GPS points and {_ENOUGH} attitudes about the lines' times",
            (len(fixes), len(samples)),
        )
    fix_ns, sample_ns = tuple(sorted(fixes)), tuple(sorted(samples))
    quaternions = np.array([samples[time].quaternion for time in sample_ns], np.float64)
    norms = np.linalg.norm(quaternions, axis=1, keepdims=True)
    if not np.all(np.abs(norms - 1.0) < 1e-3):
        raise BadInputError(
            "attitude packets", "quaternions of norm 1", float(norms[np.argmax(np.abs(norms - 1.0))][0])
        )
    return Datastrip(
        name="ancillary data",
        level="0",
        satellite=descriptor.satellite,
        start_ns=descriptor.first_line_ns,
        stop_ns=descriptor.first_line_ns + round(SCENE_NS * descriptor.scenes),
        orientation=orientation,
        line_period_ns=LINE_PERIOD_NS,
        first_line_ns=dict(first_line_ns),
        positions_ns=fix_ns,
        positions=np.array([fixes[time].position for time in fix_ns], np.float64),
        velocities=np.array([fixes[time].velocity for time in fix_ns], np.float64),
        attitudes_ns=sample_ns,
        quaternions=quaternions / norms,
        tdi=dict.fromkeys(TDI_BANDS, TDI),
        granules={
            f"D{detector:02d}/{scene + 1}": (detector, scene * LINES_PER_SCENE_10M)
            for detector in descriptor.detectors
            for scene in range(descriptor.scenes)
        },
        refining=None,
        quicklook=None,
    )


def telemetry_model(
    descriptor: DatatakeDescriptor,
    gps: Sequence[GpsPoint],
    attitudes: Sequence[AttitudePoint],
    orientation: EarthOrientation,
    instrument: Instrument,
    first_line_ns: Mapping[tuple[str, int], int] | None = None,
) -> SensorModel:
    """The sensor model of the datastrip that packets describe, over all its lines.

    ``first_line_ns`` as the image packets date them; nominal where they are not given. Packets may be lost: gaps are
    bridged and the ends extrapolated, by ``platform.beyond_s`` seconds.
    """
    nominal = instrument.first_lines(descriptor.first_line_ns, descriptor.detectors)
    strip = telemetry_strip(descriptor, gps, attitudes, orientation, {**nominal, **(first_line_ns or {})})
    return SensorModel(strip, instrument.viewing, instrument.spacecraft, bridged=True)
