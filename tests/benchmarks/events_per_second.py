"""Events per second through one function: past the broker, and through it with its filters and queue.

Run by hand: ``python tests/benchmarks/events_per_second.py``. Both in one run on one machine, so their ratio means
something where the figures do not.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from eventing.local import control
from eventing.local.config import ROOT
from shared.adapters.http_sink import HttpSink
from shared.domain.events import Event

sys.path.insert(0, str(ROOT))
from tests.support.runs import ProbeRun, make_probe_run, wait_for

EVENTS = 2000
SENDERS = 4
QUIET = """
import functions_framework
from eventing.http import answer

@functions_framework.http
def main(request):
    return answer(request, "probe", lambda event: None)
"""


def send_all(sink: HttpSink) -> None:
    """Every event once, from several senders."""
    with ThreadPoolExecutor(SENDERS) as pool:
        for _ in pool.map(lambda number: sink.send(Event(f"e{number}", "test", "fine", f"s{number}")), range(EVENTS)):
            pass


def delivered(probe: ProbeRun) -> int:
    return int(probe.status()["subscriptions"]["test"]["delivered"])


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        probe = make_probe_run(Path(folder))
        (probe.config.root / "functions" / "probe" / "main.py").write_text(QUIET)
        url = probe.start().url
        try:
            HttpSink(f"{url}/broker").send(Event("warm", "test", "fine", "warm"))
            wait_for(lambda: delivered(probe) == 1, "the function to be awake")
            through = timed(lambda: send_all(HttpSink(f"{url}/fn/probe")))
            accepted = timed(lambda: send_all(HttpSink(f"{url}/broker")))
            rest = timed(lambda: wait_for(lambda: delivered(probe) == EVENTS + 1, "all deliveries", timeout_s=300))
        finally:
            control.stop(probe.run)
    print(f"past the broker:          {EVENTS / through:7.0f} events/s")
    print(f"accepted by the broker:   {EVENTS / accepted:7.0f} events/s")
    print(f"through the broker:       {EVENTS / (accepted + rest):7.0f} events/s")
    print(f"ratio, through to past:    {through / (accepted + rest):6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
