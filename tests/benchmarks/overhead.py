"""The service's own time over a whole session on the local runtime: what ``s2ps trace --overhead`` says of it.

A simulated pass of two scenes by two detectors, two tiles, through real processes: function starts from zero, Jobs, the
embedded store. The goals, on a quiet machine: 10 s from the last file seen at the station to the first IPF process, and
30 s of own time over the chain at the 95th percentile of its products. What is own time is spent by our functions, by
the starts of processes, and by bringing files to and from the store; on a machine that is busy each of these is longer,
so the load is told. The queue is the wait of a tile for a core that another tile's IPF has.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from eventing.local import control
from eventing.local.config import ROOT, settings_from
from functions.cli.options import Shape
from functions.cli.overhead import ALL, session_overhead, show_overhead
from functions.cli.traces import read_spans
from shared.bootstrap import Services
from shared.telemetry import session_context

sys.path.insert(0, str(ROOT))
from tests.support.demo_run import DemoRun, finished

FIRST_IPF_S, OWN_S = 10.0, 30.0
SESSION = ("--scenes", "2", "--detectors", "6,7", "--chunk-mib", "16", "--rate", "40")


def main() -> int:
    """Print the figures; exit code 1 where a goal is missed."""
    with tempfile.TemporaryDirectory() as folder:
        demo = DemoRun.start(Path(folder) / "run", "--keep", *SESSION)
        try:
            demo.finish()
            state = control.state(demo.run)
            if state is None:
                raise RuntimeError(f"{demo.run.path}: expected the run to be up")
            services = Services(settings_from(state.settings))
            account, _ = finished(services.ledger)
            spans = read_spans(demo.run.traces, session_context(account.session).trace_id)
            found = session_overhead(services, account.session, spans)
        finally:
            demo.process.kill()
            control.stop(demo.run)
    show_overhead(Shape(), found)
    whole = next(each for each in found.levels if each.level == ALL)
    late = found.first_ipf_s is None or found.first_ipf_s > FIRST_IPF_S
    long = whole.own.p95 > OWN_S
    print(f"load over five minutes: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")
    print(
        f"last file to first IPF: {found.first_ipf_s or 0.0:6.1f} s, goal {FIRST_IPF_S:.0f}{'  over' if late else ''}"
    )
    print(f"own time at p95:        {whole.own.p95:6.1f} s, goal {OWN_S:.0f}{'  over' if long else ''}")
    return 1 if late or long else 0


if __name__ == "__main__":
    sys.exit(main())
