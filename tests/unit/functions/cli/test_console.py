"""The console's own parts: arguments, errors, accounts, downloads, the picture."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin

from eventing.local.config import RunConfig, RunDir, settings_from
from functions.cli.accounts import account_lines
from functions.cli.demo import clear
from functions.cli.local import _station
from functions.cli.main import COMMANDS, called_as, main
from functions.cli.options import stations_json
from functions.cli.output import minutes, since
from functions.cli.progress import counts
from functions.cli.quicklook import make_quicklook
from functions.cli.shelf import target_of
from functions.cli.story import tell
from shared.errors import ConfigurationError, IntegrityError
from shared.ledger.records import Account, AccountEntry, FileEntry, Published
from shared.ports import ObjectInfo

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WORK = "sessions/S/work/{}/{}/" + "a" * 64 + "/"


def listing(*names: str) -> list[ObjectInfo]:
    return [ObjectInfo(name, 1, "e", NOW + timedelta(seconds=index)) for index, name in enumerate(names)]


def test_progress_is_counted_by_the_names_of_records() -> None:
    l0u, l1c, l2a, l1b = (WORK.format(step, "u") for step in ("l0u", "l1c", "l2a", "l1b"))
    found = listing(
        "sessions/S/seen/a.json", "sessions/S/seen/b.json", "sessions/S/received/a.receipt.json", f"{l0u}order.json",
        f"{l0u}attempts/1.json", f"{l0u}outcome.json", f"{l1c}order.json", f"{l1c}attempts/1.json", f"{l2a}order.json",
        f"{l1b}order.json", "sessions/S/complete.json",
    )  # fmt: skip
    assert list(counts(tell("S", found)).items()) == [
        ("files", (1, 2)), ("l0u", (1, 1)), ("l1c", (0, 1)), ("l2a", (0, 1)), ("l1b", (0, 1)),
    ]  # fmt: skip


def test_times_relative_to_t0() -> None:
    assert since(NOW, NOW + timedelta(minutes=74, seconds=5)) == "T0+74:05"
    assert since(NOW, NOW - timedelta(seconds=5)) == "T0-00:05"
    assert (since(None, NOW), minutes(None), minutes(-65.4), minutes(4500)) == ("", "", "-01:05", "75:00")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--station", "SGS_"], "--station"),
        (["up", "--station", "SGS_=ftp://host/"], "--station"),
        (["up", "--station", "much too long=http://host/"], "--station"),
        (["up", "--set", "PATH=/tmp"], "--set"),
        (["up", "--set", "S2PS_MAX_ATEMPTS=3"], "S2PS_MAX_ATEMPTS"),
        (["run", "--detectors", "six"], "--detectors"),
        (["run", "--detectors", "13"], "detectors"),
        (["run", "--scenes", "0"], "--scenes"),
        (["run", "--fault", "storm"], "storm"),
        (["run", "--set", "S2PS_MAX_ATTEMPTS=0"], "S2PS_MAX_ATTEMPTS"),
        (["sessions"], "is not up"),
        (["status", "S"], "is not up"),
        (["status"], "SESSION"),
        (["why"], "TARGET"),
        (["park", "S"], "--reason"),
        (["sessions", "-o", "xml"], "xml"),
        (["work", "--stands", "odd"], "odd"),
        (["sessions", "-n", "s2ps"], "--run-dir"),
        (["sessions", "--nonsense"], "--nonsense"),
        (["trace", "S2A_20261122100000057405"], "no span"),
    ],
)
def test_errors_are_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("S2PS_STORE_ENDPOINT", raising=False)
    result = CliRunner().invoke(main, [*arguments, "--run-dir", str(tmp_path / "run")])
    assert result.exit_code == (2 if "for usage" in result.stderr else 1)
    assert said in result.stderr.splitlines()[0]
    assert result.stderr.startswith("Error: ")
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["up", "run"])
def test_a_folder_that_cannot_be_written_is_named(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "run")
    result = CliRunner().invoke(main, [command, "--run-dir", place])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {place}")


def test_down_of_what_is_not_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["down", "--run-dir", str(tmp_path / "run")])
    assert (result.exit_code, result.output) == (0, "nothing was running\n")


NAMES = [name for section in COMMANDS.values() for name in section]


@pytest.mark.parametrize("command", [[], *([name] for name in NAMES), ["dead-letters", "show"], ["store", "setup"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    # click keeps the help option of a command's first use: that of `-h` is tried in processes of their own.
    result = CliRunner().invoke(main, [*command, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(" ".join(["Usage: s2ps", *command]))


def test_the_list_of_commands_names_them_all() -> None:
    shown = CliRunner().invoke(main, ["-h"]).stdout
    assert [line.split()[0] for line in shown.splitlines() if re.match("  [a-z-]+  ", line)] == NAMES


def test_a_command_that_is_none_is_told_in_kn_s_manner() -> None:
    result = CliRunner().invoke(main, ["sesions"])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == ["Run 's2ps --help' for usage"]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/usr/bin/s2ps", "s2ps"), ("/opt/bin/kn-s2ps", "kn s2ps"), ("kn-s2ps.exe", "kn s2ps"), ("main.py", "s2ps")],
)
def test_help_shows_the_name_that_was_called(path: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called_as(path) == name
    monkeypatch.setattr("sys.argv", [path, "sessions", "-h"])
    with pytest.raises(SystemExit), redirect_stdout(StringIO()) as shown:
        main()
    assert shown.getvalue().startswith(f"Usage: {name} sessions")


def test_stations_reach_the_settings_with_their_password() -> None:
    chosen = _station("SGS_=https://user:p%40ss@host:8443/pick/")
    settings = settings_from({"S2PS_STATIONS": stations_json([chosen])})
    assert settings.stations == (chosen,)
    assert (chosen.url, chosen.password.get_secret_value()) == ("https://host:8443/pick/", "p@ss")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S2PS_MAX_ATTEMPTS", "0"),
        ("S2PS_MAX_ATEMPTS", "3"),
        ("S2PS_STATIONS", "SGS_=http://host/"),
        ("S2PS_STATIONS", '[{"name": "SGS_"}]'),
    ],
)
def test_settings_that_are_wrong_are_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        settings_from({name: value})


def test_the_settings_of_a_run_are_its_own_whatever_the_operators_shell_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2PS_BUCKET_LEDGER", "another")
    monkeypatch.setenv("S2PS_STATIONS", "no JSON")
    found = settings_from({"S2PS_MAX_ATTEMPTS": "7", "PATH": "/bin"})
    assert (found.max_attempts, found.bucket_ledger, found.stations) == (7, "s2-ledger", ())


ENTRY = {"step": "l1c", "unit": "DT01-T32TMQ", "deadline": NOW, "level": "L1C"}
ACCOUNT = Account(
    created=NOW,
    session="S2A_20261122100000057405",
    t0=NOW,
    entries=(
        AccountEntry.model_validate(
            {
                **ENTRY,
                "product": f"S2A_MSIL1C_{'X' * 90}",
                "ended": "produced",
                "at": NOW,
                "slack_s": 4500,
                "warning": "[odd]",
            }
        ),
        AccountEntry.model_validate({**ENTRY, "product": "L1C of DT01", "ended": "absent", "reason": "no [light]"}),
    ),
    produced=1,
    absent=1,
    parked=0,
    refused=("../../x: no file of a session",),
)


@pytest.mark.parametrize("width", [72, 100, 200])
def test_an_account_fits_the_terminal_and_says_all(width: int) -> None:
    lines = account_lines(ACCOUNT, width)
    table = lines[1 : next(index for index, line in enumerate(lines) if line.startswith("L1C DT01"))]
    assert max(map(len, map(click.unstyle, table))) <= width
    shown = re.sub(r"\s", "", click.unstyle("".join(lines)))
    for told in ("produced", "absent", "75:00", "DT01-T32TMQ:[odd]", "DT01-T32TMQ:no[light]", "Refused:../../x:nofile"):
        assert told in shown
    assert "X" * 20 in shown


def test_an_account_tells_the_second_clock_of_each_level() -> None:
    sensed = ACCOUNT.model_copy(update={"last_sensed": NOW - timedelta(minutes=83, seconds=5)})
    (told,) = [line for line in account_lines(sensed, 200) if line.startswith("After the last sensing")]
    assert told.endswith(": L1C 83:05")
    played = ACCOUNT.model_copy(update={"last_sensed": NOW - timedelta(days=154)})
    assert [line for line in account_lines(played, 200) if line.endswith(": L1C 154d")]
    assert not [line for line in account_lines(ACCOUNT, 200) if "last sensing" in line]


def test_only_folders_of_runs_are_cleared(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    clear(run)
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigurationError, match="earlier run"):
        clear(run)
    assert (tmp_path / "precious").exists()
    (tmp_path / "precious").unlink()
    run.config.write_text(RunConfig().model_dump_json())
    run.logs.mkdir()
    clear(run)
    assert not tmp_path.exists()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_a_product_stays_in_its_folder(path: str, tmp_path: Path) -> None:
    file = FileEntry(path=path, size=1, sha256="0" * 64)
    product = Published(
        created=NOW, product="P", level="L1C", product_type="x", session="S", step="l1c", unit="u", bucket="b", size=1,
        prefix="p/", manifest="p/manifest.json", files=(file,), sensing_start=NOW, t0=NOW, deadline=NOW,
        status="succeeded",
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="below the product"):
        target_of(tmp_path, product, file)


def _tile(folder: Path, name: str, east: float, counts_: int) -> Path:
    images = folder / name / "GRANULE" / "X" / "IMG_DATA"
    images.mkdir(parents=True)
    data = np.zeros((1, 60, 60), np.uint16)
    data[:, 6:30, 12:60] = counts_
    for band in ("B04", "B03", "B02"):
        with rasterio.open(
            images / f"T32TMQ_{band}_10m.jp2", "w", driver="JP2OpenJPEG", count=1, dtype="uint16", height=60, width=60,
            crs="EPSG:32632", transform=from_origin(east, 5_000_000, 10, 10), QUALITY=100, REVERSIBLE="YES",
        ) as image:  # fmt: skip
            image.write(data)
    return folder / name


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # rasterio with the newest affine
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # a PNG has no place
def test_the_quicklook_shows_all_tiles_and_no_margin(tmp_path: Path) -> None:
    tiles = [_tile(tmp_path, "S2A_MSIL2A_a", 400_000, 1000), _tile(tmp_path, "S2A_MSIL2A_b", 400_600, 13_000)]
    target = tmp_path / "quicklook.png"
    assert make_quicklook(tiles, target) == target
    with rasterio.open(target) as image:
        picture = image.read()
    assert picture.shape == (3, 8, 36)  # 24 x 108 pixels of 10 m at 30 m
    assert picture[0, 4, 2] == 1  # black, but data
    assert picture[0, 4, 30] == 255
    assert make_quicklook([tmp_path / "S2A_TEST_MSI_L0"], target) is None
