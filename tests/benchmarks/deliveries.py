"""10^5 faulted deliveries, and a death before and after every kind of write: what is lost, what is made twice?

    .venv/bin/python -m tests.benchmarks.deliveries [--least 100000] [--hours 2] [--seeds tests/benchmarks/seeds.txt]

Plays rehearsals with one seed of the file after the other until so many deliveries went wrong, prints what they came to
together, and ends with 1 where an invariant is broken, where a crash point was never hit, or where seeds ran out.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from functions.rehearse.deliveries import Tally, play

SEEDS = Path(__file__).with_name("seeds.txt")


def seeds_of(path: Path) -> list[int]:
    """A number a line; ``#`` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [int(line) for line in lines if line]


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=100_000, help="faulted deliveries")
    parser.add_argument("--hours", type=float, default=2.0, help="of passes, for each seed")
    parser.add_argument("--seeds", type=Path, default=SEEDS)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # functions log what is meant to go wrong here
    tally, began = Tally(), time.process_time()
    for tally in play(seeds_of(arguments.seeds), arguments.least, arguments.hours):
        seconds = time.process_time() - began
        print(f"seed {tally.seeds[-1]}: {tally.faulted} faulted, {seconds:.0f} s of CPU", file=sys.stderr, flush=True)
    print(*tally.lines(), sep="\n")
    return int(bool(tally.broken or tally.points.missed()) or tally.faulted < arguments.least)


if __name__ == "__main__":
    sys.exit(main())
