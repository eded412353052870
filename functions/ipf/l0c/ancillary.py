"""``Satellite_Ancillary_Data_Info``: what the ancillary packets say of orbit, attitude, time and temperatures."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from functions.ipf.common import l0_metadata as md
from functions.ipf.common.xml import node
from shared.ccsds.cuc import gps_ns_to_utc
from shared.errors import BadInputError
from shared.msi.packets import ANCILLARY_APIDS
from shared.msi.platform import CELSIUS, OHM, PLATFORM_APIDS, RECEIVERS, NavigationSolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.ipf.l0c.unconsolidated import Telemetry
    from shared.msi.packets import GpsPoint
    from shared.msi.platform import ControlState, Temperatures

_SERVICE: Final = (3, 25)
_NOTHING: Final = (0.0, 0.0, 0.0)
_LISTS: Final = (
    ("FPA_List", (("FPA", "fpaId"), ("FEE", "feeId"))),
    ("Mirror_List", (("Mirror", "mirrorId"),)),
    ("ThSensor_List", (("ThSensor", "sensorId"),)),
    ("Splitter_List", (("Splitter", "splitterId"),)),
    ("CSM_Diffuser_List", (("CSM_Diffuser", "diffuserId"),)),
    ("IMU_Sensorplate_List", (("IMU_Sensorplate", ""),)),
    ("STR_Sensorplate_List", (("STR_Sensorplate", "sensorplateId"),)),
    ("STR_Baseplate_List", (("STR_Baseplate", ""),)),
    ("STR_Backplate_List", (("STR_Backplate", ""),)),
)


class _Dated(Protocol):
    @property
    def gps_ns(self) -> int: ...


_Sample = TypeVar("_Sample", bound=_Dated)


def nearest(samples: Sequence[_Sample], gps_ns: int) -> _Sample | None:
    """The sample nearest in time, of samples in the order of their times; none of none."""
    at = bisect_left(samples, gps_ns, key=lambda sample: sample.gps_ns)
    return min(samples[max(at - 1, 0) : at + 1], key=lambda sample: abs(sample.gps_ns - gps_ns), default=None)


def ancillary_info(telemetry: Telemetry, expected: Mapping[int, int]) -> ET.Element:
    """The section; ``expected`` are packets by APID that the instrument made.

    BadInputError where no packet tells of the orbit and attitude control: the schema cannot do without.
    """
    if not telemetry.control:
        raise BadInputError("ancillary packets", "an orbit and attitude control packet (APID 154)")
    return node(
        "Satellite_Ancillary_Data_Info",
        *_time_correlation(telemetry),
        _ephemeris(telemetry),
        _attitudes(telemetry),
        *_thermal(telemetry),
        *_lost(telemetry, expected),
        node("ANC_DATA_REF", ".//ANC_DATA/", metadataLevel="Standard"),
    )


def _time_correlation(telemetry: Telemetry) -> list[ET.Element]:
    entries = [
        node(
            "Time_Correlation_Data",
            node("NSM", entry.mode),
            node("QUALITY_INDEX", entry.quality_ns, unit="ns"),
            node("TDOP", entry.dilution),
            node("IMT", entry.count),
            node("GPS_TIME", md.gps_time(entry.gps_ns)),
            node("UTC_TIME", md.utc(gps_ns_to_utc(entry.gps_ns))),
        )
        for entry in telemetry.correlations
    ]
    return [node("Time_Correlation_Data_List", *entries, metadataLevel="Standard")] if entries else []


def _ephemeris(telemetry: Telemetry) -> ET.Element:
    solutions = telemetry.navigation
    receivers = {
        name: [solution.gps_ns for solution in solutions if solution.receiver == name]
        for name in RECEIVERS
        if any(solution.receiver == name for solution in solutions)
    } or {RECEIVERS[0]: [point.gps_ns for point in telemetry.gps]}
    numbers = [
        node(
            "Gps_Number",
            node("GPS_TIME_START", md.gps_time(times[0])),
            node("GPS_TIME_END", md.gps_time(times[-1])),
            id=name,
        )
        for name, times in receivers.items()
    ]
    points = [_gps_point(point, nearest(solutions, point.gps_ns)) for point in telemetry.gps]
    return node(
        "Ephemeris",
        node("GPS_Number_List", *numbers),
        node("GPS_Points_List", *points),
        node("AOCS_Ephemeris_List", *(_control(state) for state in telemetry.control)),
        metadataLevel="Standard",
    )


def _gps_point(point: GpsPoint, solution: NavigationSolution | None) -> ET.Element:
    """Without any solution the point is called invalid, with errors of 0: there is nothing to tell of them."""
    said = solution or NavigationSolution(point.gps_ns, "INVALID", RECEIVERS[0], 0, 0.0, _NOTHING, 0.0, *[_NOTHING] * 2)
    geometric, position, time = said.dilution
    return node(
        "GPS_Point",
        node("POSITION_VALUES", _thousandths(point.position), unit="mm"),
        node("POSITION_ERRORS", _thousandths(said.position_errors), unit="mm"),
        node("VELOCITY_VALUES", _thousandths(point.velocity), unit="mm/s"),
        node("VELOCITY_ERRORS", _thousandths(said.velocity_errors), unit="mm/s"),
        node("GPS_TIME", md.gps_time(point.gps_ns)),
        node("NSM", said.mode),
        node("QUALITY_INDEX", said.quality),
        node("GDOP", geometric),
        node("PDOP", position),
        node("TDOP", time),
        node("NOF_SV", said.satellites),
        node("TIME_ERROR", said.time_error_ns, unit="ns"),
    )


def _thousandths(values: Sequence[float]) -> str:
    return " ".join(str(round(1000 * value)) for value in values)


def _control(state: ControlState) -> ET.Element:
    return node(
        "AOCS_Ephemeris",
        node("VALID_FLAG", "true" if state.valid else "false"),
        node("OPSOL_QUALITY", state.quality),
        node("POSITION_VALUES", " ".join(map(repr, state.position)), unit="m"),
        node("VELOCITY_VALUES", " ".join(map(repr, state.velocity)), unit="m/s"),
        node("GPS_TIME", md.gps_time(state.gps_ns)),
        node("ORBIT_ANGLE", state.orbit_angle, unit="rad"),
    )


def _attitudes(telemetry: Telemetry) -> ET.Element:
    values = []
    for point in telemetry.attitudes:
        state = nearest(telemetry.control, point.gps_ns)
        assert state is not None  # noqa: S101 - ancillary_info asked for one
        values.append(
            node(
                "Values",
                node("QUATERNION_VALUES", " ".join(repr(value) for value in point.quaternion)),
                node("QUATERNION_VALIDITY", "true"),
                node("GPS_TIME", md.gps_time(point.gps_ns)),
                node("INUSE_FLAGS", _in_use(telemetry, state)),
                node("AOCS_MODE", state.mode),
                node("AOCS_SUBMODE", state.submode),
                node("ATTITUDE_QUALITY_INDICATOR", state.attitude_quality),
            )
        )
    return node("Attitudes", node("Corrected_Attitudes", *values, metadataLevel="Standard"))


def _in_use(telemetry: Telemetry, state: ControlState) -> str:
    """STR1 STR2 STR3 GPSR-A GPSR-B VCU-A VCU-B IMU-1 IMU-2 IMU-3 IMU-4; converters and gyroscopes are not told of."""
    solution = nearest(telemetry.navigation, state.gps_ns)
    receivers = [solution is not None and solution.receiver == name for name in RECEIVERS]
    flags = [*state.trackers, *receivers, *[False] * 6]
    return " ".join("true" if flag else "false" for flag in flags)


def _thermal(telemetry: Telemetry) -> list[ET.Element]:
    samples = telemetry.temperatures
    if not samples:
        return []
    lists = [
        node(name, *(entry for kind, attribute in kinds for entry in _places(samples, kind, attribute)))
        for name, kinds in _LISTS
    ]
    return [node("Thermal_Data", *lists, metadataLevel="Expertise")]


def _places(samples: Sequence[Temperatures], kind: str, attribute: str) -> list[ET.Element]:
    found = []
    for unit, names in (("°C", CELSIUS), ("Ohm", OHM)):
        for index, name in enumerate(names):
            own, _, identity = name.partition(" ")
            if own != kind:
                continue
            values = [round((s.celsius if unit == "°C" else s.ohm)[index], 3) for s in samples]
            parts = [
                (node("T", value, unit=unit), node("GPS_TIME", md.gps_time(s.gps_ns)))
                for s, value in zip(samples, values, strict=True)
            ]
            if attribute:
                found.append(node(kind, *(node("Value", *part) for part in parts), **{attribute: identity}))
            else:
                found += [node(kind, *part) for part in parts]
    return found


def lost_ancillary(telemetry: Telemetry, expected: Mapping[int, int]) -> dict[int, int]:
    """Ancillary packets that did not come, by APID, where any did not."""
    received = telemetry.received
    lost = {apid: expected[apid] - received[apid] for apid in (*ANCILLARY_APIDS, *PLATFORM_APIDS)}
    return {apid: count for apid, count in lost.items() if count > 0}


def _lost(telemetry: Telemetry, expected: Mapping[int, int]) -> list[ET.Element]:
    """One entry for each kind of packet of which some are missing, over the time of the datastrip's telemetry."""
    lost = lost_ancillary(telemetry, expected)
    if not lost:
        return []
    times = [point.gps_ns for point in telemetry.gps] + [state.gps_ns for state in telemetry.control]
    entries = [
        node(
            "Lost_Source_Packet",
            node("DEGRADATION_TYPE", "LOST"),
            node("ERROR_BEGINNING_DATE", md.gps_time(min(times))),
            node("ERROR_ENDING_DATE", md.gps_time(max(times))),
            processIdentifier=str(apid >> 4),
            packetCategory=str(apid & 15),
            service=str(_SERVICE[0]),
            subService=str(_SERVICE[1]),
            structurIdentifier=str(apid & 0xFF),
        )
        for apid in lost
    ]
    total = sum(expected[apid] for apid in (*ANCILLARY_APIDS, *PLATFORM_APIDS))
    summary = node(
        "Degradation_Summary",
        node("NUMBER_OF_LOST_PACKETS", sum(lost.values())),
        node("NUMBER_OF_DEGRADED_PACKETS", 0),
        degradationPercentage=f"{100.0 * sum(lost.values()) / total:.6f}",
    )
    return [node("Lost_Source_Packet_List", *entries, summary, metadataLevel="Standard")]
