"""The passes of a rehearsal: drawn from a real plan's statistics, or taken from a mission plan.

Figures of one satellite over 17.9 days of the mission plan of July 2021: 35.6 downlinks and 75.8 datastrips a day, 45
scenes a datastrip in the median, 183 at the 90th percentile, 212 at most, and never more than 212 in a pass; two fifths
of the passes at Svalbard, three tenths each at Inuvik and through a relay satellite. A scene of 3.608 s takes 3.44 s to
come down.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.mission_plan import Pass, Segment

PASSES_A_DAY: Final = 35.6
DATASTRIPS_A_PASS: Final = 2.13
MEDIAN_SCENES: Final = 54
"""Before passes are cut to what one can bring."""

SPREAD: Final = 1.09
"""Of the logarithm of the scenes of a datastrip: 183 at the 90th percentile."""

MOST_SCENES: Final = 212
SCENE_S: Final = 3.608
DOWNLINK_S: Final = 3.44
"""Seconds that a scene takes to come down."""

STATIONS: Final = (("SGS_", 0.39), ("INS_", 0.31), ("EDRS", 0.30))
_LATENCY: Final = timedelta(minutes=82)
_PAUSE_S: Final = 30.0


def drawn(satellites: Sequence[str], start: datetime, hours: float, seed: int) -> tuple[Pass, ...]:
    """Passes of so many hours, in the order of their starts: the same for the same seed."""
    found = list[Pass]()
    for satellite in satellites:
        dice = random.Random(f"{seed}-{satellite}")  # noqa: S311 - the same for the same seed
        found += _of(satellite, start, hours, dice)
    return tuple(sorted(found, key=lambda each: (each.start, each.satellite)))


def _of(satellite: str, start: datetime, hours: float, dice: random.Random) -> Iterator[Pass]:
    every = 24 / PASSES_A_DAY
    orbit = dice.randrange(20_000, 60_000)
    for number in range(round(hours / every)):
        begin = start + timedelta(hours=(number + dice.uniform(0, 0.6)) * every)
        station = dice.choices([name for name, _ in STATIONS], [share for _, share in STATIONS])[0]
        at, segments = begin, []
        for count, scenes in enumerate(_datastrips(dice)):
            down = timedelta(seconds=scenes * DOWNLINK_S)
            sensed = at - _LATENCY - timedelta(seconds=dice.expovariate(1 / 1800))
            segments.append(
                Segment(
                    satellite=satellite,
                    datatake=f"{orbit + number // 2}-{count + 1}",
                    absolute_orbit=orbit + number // 2,
                    relative_orbit=(orbit + number // 2) % 143 + 1,
                    timeliness="NOMINAL",
                    scenes=scenes,
                    start=sensed,
                    stop=sensed + timedelta(seconds=scenes * SCENE_S),
                    downlink_start=at,
                    downlink_stop=at + down,
                    station=station,
                    partial=False,
                )
            )
            at += down
        yield Pass(satellite, station, tuple(segments))


def _datastrips(dice: random.Random) -> list[int]:
    """Scenes of each datastrip of a pass."""
    count = 1 + sum(dice.random() < (DATASTRIPS_A_PASS - 1) / 4 for _ in range(4))
    scenes = [max(2, round(MEDIAN_SCENES * math.exp(SPREAD * dice.gauss()))) for _ in range(count)]
    over = sum(scenes) / MOST_SCENES
    if over > 1:
        scenes = [max(2, int(each / over)) for each in scenes]
        scenes[scenes.index(max(scenes))] -= max(0, sum(scenes) - MOST_SCENES)
    return scenes


def largest(satellite: str, start: datetime) -> Pass:
    """The largest session of the plan: 212 scenes in one datastrip, 2 544 granules."""
    sensed = start - _LATENCY
    down = timedelta(seconds=MOST_SCENES * DOWNLINK_S)
    stop = sensed + timedelta(seconds=MOST_SCENES * SCENE_S)
    segment = Segment(
        satellite=satellite,
        datatake="22871-1",
        absolute_orbit=22871,
        relative_orbit=108,
        timeliness="NOMINAL",
        scenes=MOST_SCENES,
        start=sensed,
        stop=stop,
        downlink_start=start,
        downlink_stop=start + down,
        station="SGS_",
        partial=False,
    )
    return Pass(satellite, "SGS_", (segment,))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A file of a session as the station will show it. ``megabytes`` is what it stands for, not what it holds."""

    channel: int
    name: str
    when: datetime
    megabytes: float


def session_name(one: Pass) -> str:
    """The session's id: satellite, start of the pass, orbit."""
    return f"{one.satellite}_{one.start:%Y%m%d%H%M%S}{one.segments[0].absolute_orbit:06d}"


def chunks(one: Pass, a_channel: int, dice: random.Random) -> tuple[Chunk, ...]:
    """The files of a pass, in the order of their arrival: DSDBs as they come down, then the DSIBs.

    The first is there 12 s after the first frame, the last 135 to 510 s after the last (325 s in the median).
    """
    session, found = session_name(one), list[Chunk]()
    late = dice.triangular(135, 510, 325)
    span = (one.stop - one.start).total_seconds() + late - 12
    volume = 0.33 * span * 40 / 0.9  # 40 MB/s for what is neither pause nor tail
    for channel in (1, 2):
        for number in range(1, a_channel + 1):
            when = one.start + timedelta(seconds=12 + span * number / a_channel - dice.uniform(0, 2))
            name = f"DCS_05_{session}_ch{channel}_DSDB_{number:05d}.raw"
            found.append(Chunk(channel, name, when, volume / a_channel))
        found.append(
            Chunk(channel, f"DCS_05_{session}_ch{channel}_DSIB.xml", one.start + timedelta(seconds=12 + span), 0)
        )
    return tuple(sorted(found, key=lambda each: (each.when, each.name)))


def scenes_of(passes: Iterable[Pass]) -> int:
    return sum(one.scenes for one in passes)
