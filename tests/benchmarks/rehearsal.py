"""What a rehearsal shows at full size: its own cost, the nodes that a day takes, half of them, the longest datastrip.

    .venv/bin/python -m tests.benchmarks.rehearsal [--hours 24] [--seeds 7,8] [--set open] [--only day,half,largest]

The longest datastrip, 212 scenes, cut as the set says and whole. Then for each seed a day with plenty of nodes, from
which the number is found with which 99 % are in time; the day with so many; the day with half of them. Seconds are
those of one core; memory is the most that the process had.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
from dataclasses import replace

from functions.rehearse.command import FOR_CHANCE, SHARE
from functions.rehearse.models import START, Result, Scenario
from functions.rehearse.passes import drawn, largest
from functions.rehearse.report import lines, timeliness, warnings
from functions.rehearse.scenario import rehearse
from functions.rehearse.sizing import needed, tasks_of

SATELLITES = ("S2A", "S2B", "S2C")
PLENTY = 400


def played(what: str, scenario: Scenario) -> Result:
    """Play one, and print what it cost and came to."""
    began = time.process_time()
    result = rehearse(scenario)
    seconds, memory = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n== {what}: {seconds:.0f} s of CPU, at most {memory:.0f} MiB", flush=True)
    print(*lines(result), sep="\n", flush=True)
    return result


def day(seed: int, hours: float, processor_set: str, *, half: bool) -> bool:
    """A day with the nodes that it takes, and with half of them; whether it shows what it must."""
    passes = drawn(SATELLITES, START, hours, seed)
    scenario = Scenario(passes=passes, hours=hours, seed=seed, nodes=PLENTY, processor_set=processor_set)
    plenty = played(f"seed {seed}, {PLENTY} nodes", scenario)
    tasks = tasks_of(plenty.ran, scenario.workflow())
    found = needed(tasks, SHARE + FOR_CHANCE, scenario.node_cpus, scenario.node_memory_mb)
    if found is None:
        print(f"seed {seed}: no number of nodes is enough")
        return False
    result = played(f"seed {seed}, {found} nodes, as many as it takes", replace(scenario, nodes=found))
    fine = not result.broken and all(line.in_time >= SHARE for line in timeliness(result))
    if half:
        tight = played(f"seed {seed}, half of them", replace(scenario, nodes=max(1, found // 2)))
        told = warnings(tight)
        lost = [line.level for line in timeliness(tight) if line.produced != line.expected]
        fine = fine and not tight.broken and not lost and told.before == told.late
    return fine


def longest(processor_set: str) -> bool:
    """The longest datastrip, cut as the set says and whole."""
    one = Scenario(passes=(largest("S2A", START),), hours=1, nodes=60, processor_set=processor_set)
    cut, whole = played("212 scenes, cut", one), played("212 scenes, whole", replace(one, uncut=True))
    for line in timeliness(whole):
        if line.level in {"L1C", "L2A"}:
            print(f"whole: {line.level} is {line.p50 - line.budget:+.0f} min from its budget in the median")
    return not cut.broken + whole.broken and all(line.in_time >= SHARE for line in timeliness(cut))


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seeds", default="7", help="one after the other, with commas")
    parser.add_argument("--set", dest="processor_set", default="open")
    parser.add_argument("--only", default="day,half,largest", help="some of day, half (with it) and largest")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # functions log what is meant to go wrong here
    parts, fine = arguments.only.split(","), []
    if "largest" in parts:
        fine.append(longest(arguments.processor_set))
    if "day" in parts:
        seeds = map(int, arguments.seeds.split(","))
        fine += [day(seed, arguments.hours, arguments.processor_set, half="half" in parts) for seed in seeds]
    print("\nshown" if all(fine) else "\nNOT shown")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
