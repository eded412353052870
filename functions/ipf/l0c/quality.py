"""Quality control of Level-0: what is inspected in datastrips and granules, on the data themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common import olqc
from functions.ipf.common.olqc import Check
from functions.ipf.common.pdi import format_checks
from shared.msi.packets import ATTITUDE_APID, GPS_APID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from functions.ipf.l0c.facts import Facts, Granule, Indicators

RELATIVE_ORBITS: Final = 143
MOST_ORBITS: Final = 999_999
MOST_DATATION_US: Final = 10.0
MOST_GPS_STEP_S: Final = 1.5
MOST_ATTITUDE_STEP_S: Final = 0.5
MOST_EPHEMERIS_M: Final = 20.0
MOST_LOCATION_M: Final = 30.0
MOST_STABILITY_M: Final = 5.0
POINTING_MODE: Final = 2

Reports = dict[str, list[Check]]


def datastrip_reports(facts: Facts, indicators: Indicators, product: Path) -> Reports:
    """The four check lists of a datastrip, whose folder has its manifest."""
    metadata = f"{facts.file('MTD_L0__DS')}.xml"
    return {
        olqc.FORMAT_CORRECTNESS: [*format_checks(product, metadata), _sensing(facts, metadata)],
        olqc.GENERAL_QUALITY: _general(facts, metadata),
        olqc.SENSOR_QUALITY: _sensor(facts, metadata),
        olqc.GEOMETRIC_QUALITY: _geometric(facts, indicators, metadata),
    }


def granule_reports(facts: Facts, granule: Granule, product: Path) -> Reports:
    """The three check lists of a granule, whose folder has its manifest."""
    metadata = f"{facts.granule_name(granule, 'MTD_L0__GR')}.xml"
    detector, scene = granule
    bands = sum(1 for _ in (product / "IMG_DATA").glob("*.bin"))
    share = facts.account.lost_share((detector,), range(scene, scene + 1))
    start, stop = facts.scene(scene)
    inside = facts.account.start <= start < stop <= facts.account.stop
    return {
        olqc.FORMAT_CORRECTNESS: format_checks(product, metadata),
        olqc.GENERAL_QUALITY: [
            _is("Bands", "Image packets of all 13 bands are there.", bands == 13, f"{bands} of 13 bands.", "", B=bands),
            _is(
                "Lost_Packets",
                "No image packet of the granule is missing.",
                share == 0.0,
                f"{share:.4f} % of the image packets are missing.",
                metadata,
                DEGRADED_MSI_DATA_PERCENTAGE=f"{share:.6f}",
            ),
            _damaged(facts.damaged.get(granule, 0), metadata),
        ],
        olqc.SENSOR_QUALITY: [
            _is(
                "Sensing_Time",
                "The granule was taken within the datastrip.",
                inside,
                f"{start.isoformat()} to {stop.isoformat()}.",
                metadata,
            ),
            _is(
                "Active_Detector",
                "The detector is one of those that the datatake uses.",
                detector in facts.account.descriptor.detectors,
                f"Detector {detector:02d} of {facts.account.descriptor.detectors}.",
                metadata,
            ),
        ],
    }


def _is(identity: str, about: str, passed: bool, message: str, item: str, **values: object) -> Check:
    return Check(identity, about, passed, message, values, item)


def _sensing(facts: Facts, item: str) -> Check:
    start, stop = facts.account.start, facts.account.stop
    values = {"SENSING_START": start.isoformat(), "SENSING_STOP": stop.isoformat()}
    passed = start < stop
    return Check("Start_Stop_Time", "Sensing ends after it begins.", passed, "Sensing period read.", values, item)


def _damaged(count: int, item: str) -> Check:
    return _is(
        "Degraded_Packets",
        "The checksum of every packet holds, and no annotation calls one invalid.",
        count == 0,
        f"{count} packets were left out.",
        item,
        NUMBER_OF_TOO_DEGRADED_PACKETS=count,
    )


def _general(facts: Facts, item: str) -> list[Check]:
    descriptor = facts.account.descriptor
    damaged = sum(facts.damaged.values())
    share = facts.lost_share
    expected, made = len(facts.account.granules()), len(facts.granules)
    relative, downlink = descriptor.relative_orbit, facts.downlink.orbit
    return [
        _is(
            "Lost_Packets",
            "No image packet is missing.",
            share == 0.0,
            f"{share:.4f} % of the image packets are missing or damaged.",
            item,
            DEGRADATION_PERCENTAGE=f"{share:.6f}",
        ),
        _damaged(damaged, item),
        _is(
            "Granules",
            "There is a granule for each detector and scene of the datatake.",
            made == expected,
            f"{made} of {expected} granules.",
            item,
        ),
        _is(
            "Relative_Orbit_Number_SENSING",
            f"The relative orbit is one of the cycle's {RELATIVE_ORBITS}.",
            1 <= relative <= RELATIVE_ORBITS,
            f"Relative orbit {relative}.",
            item,
            SENSING_ORBIT_NUMBER=relative,
        ),
        _is(
            "Orbit_Number_DOWNLINK",
            "The downlink's absolute orbit is not before that of the sensing.",
            descriptor.absolute_orbit <= downlink <= MOST_ORBITS,
            f"Downlink orbit {downlink}, sensing orbit {descriptor.absolute_orbit}.",
            item,
            DOWNLINK_ORBIT_NUMBER=downlink,
        ),
    ]


def _sensor(facts: Facts, item: str) -> list[Check]:
    lost = facts.lost_ancillary
    datation = facts.datation
    return [
        _is(
            "Datation_Model_GPS_SYNC",
            "The instrument's time rests on GPS throughout.",
            facts.synchronised,
            f"{len(facts.telemetry.correlations)} time correlations.",
            item,
        ),
        _is(
            "Datation_Model_RMOY",
            f"Packets' times agree with the datation of their lines within {MOST_DATATION_US:.0f} microseconds.",
            datation.largest_us <= MOST_DATATION_US,
            f"Root mean square {datation.rms_us:.3f}, largest {datation.largest_us:.3f} microseconds.",
            item,
            RMOY=f"{datation.rms_us * 1e-6:.9f}",
        ),
        _is(
            "Degraded_SAD",
            "No ancillary packet is missing.",
            not lost,
            f"Missing by APID: {lost}." if lost else "None is missing.",
            item,
            NUMBER_OF_LOST_PACKETS=sum(lost.values()),
        ),
        _step("GPS_Gaps", "GPS points", [point.gps_ns for point in facts.telemetry.gps], MOST_GPS_STEP_S, item),
        _step(
            "Attitude_Gaps",
            "attitudes",
            [point.gps_ns for point in facts.telemetry.attitudes],
            MOST_ATTITUDE_STEP_S,
            item,
        ),
    ]


def _step(identity: str, what: str, times_ns: Sequence[int], most_s: float, item: str) -> Check:
    widest = float(np.diff(times_ns).max()) * 1e-9 if len(times_ns) > 1 else float("inf")
    return _is(
        identity,
        f"Two {what} are at most {most_s} s apart.",
        widest <= most_s,
        f"The widest step is {widest:.3f} s.",
        item,
        STEP=f"{widest:.6f}",
    )


def _geometric(facts: Facts, indicators: Indicators, item: str) -> list[Check]:
    states = facts.telemetry.control
    invalid = sum(state.attitude_quality == "PROPAGATED" for state in states)
    modes: Mapping[int, int] = {mode: sum(s.mode == mode for s in states) for mode in {s.mode for s in states}}
    beyond = facts.geometry.model.platform.beyond_s
    return [
        _below("Ephemeris_Quality", "Ephemeris errors as stated", indicators.ephemeris_m, MOST_EPHEMERIS_M, item),
        _below("Absolute_Location_Value", "Absolute location", indicators.location_m, MOST_LOCATION_M, item),
        _below("Planimetric_Stability", "Noise of the GPS points", indicators.stability_m, MOST_STABILITY_M, item),
        _is(
            "Attitude_Quality_Indicator_Corrected",
            "The attitude rests on a star tracker throughout.",
            bool(states) and not invalid,
            f"{invalid} of {len(states)} states without any.",
            item,
        ),
        _is(
            "Attitude_Mode",
            f"The attitude control is in mode {POINTING_MODE} (pointing) throughout.",
            set(modes) == {POINTING_MODE},
            f"States by mode: {modes}.",
            item,
        ),
        _is(
            "Ancillary_Coverage",
            f"Orbit (APID {GPS_APID}) and attitude (APID {ATTITUDE_APID}) cover all lines.",
            beyond == 0.0,
            f"Lines reach {beyond:.3f} s beyond them.",
            item,
        ),
    ]


def _below(identity: str, what: str, value: float, limit: float, item: str) -> Check:
    message = f"{value:.3f} m, at most {limit:.1f} m expected."
    return _is(identity, f"{what}: at most {limit:.1f} m.", value <= limit, message, item, VALUE=value, EXPECTED=limit)
