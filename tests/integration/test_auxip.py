"""Auxiliary data end to end: an AUXIP over HTTP with tokens and redirects, a real S3 store, an IPF's folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from functions.aux_poll.step import AuxPoll
from shared.auxiliary.catalogue import Catalogue
from shared.auxiliary.laying import Layer
from shared.auxiliary.table import load_types
from shared.bootstrap import Services
from shared.domain.auxiliary.names import AuxiliaryName
from shared.domain.auxiliary.policies import Window
from shared.domain.auxiliary.selection import requirements, select
from shared.places import AuthSettings, AuxipSettings
from shared.settings import Settings
from tests.support.auxiliary import delivered, grib, header, named, tarred, zipped
from tests.support.odata_server import ODataServer

TABLE = load_types()
SENSING = Window(datetime(2022, 4, 13, 13, 27, 14, tzinfo=UTC), datetime(2022, 4, 13, 13, 31, 41, tzinfo=UTC))


@pytest.fixture
def server() -> Iterator[ODataServer]:
    start = ODataServer(
        auth="oauth2", links=True, most=40, redirect=307, lives_s=2, now=datetime.now(UTC).replace(microsecond=0)
    )
    with start.serving() as serving:
        yield serving


@pytest.fixture
def services(own_buckets: Settings, server: ODataServer) -> Services:
    auth = AuthSettings(
        kind="oauth2", user="us", password=SecretStr("p&w=d é"), token_url=server.token_url, client_id="s2ps"
    )
    auxip = AuxipSettings(name="adgs", url=server.url, auth=auth, page=50, timeout_s=10)
    return Services(own_buckets.model_copy(update={"auxip": (auxip,)}))


def blocks() -> dict[AuxiliaryName, bytes]:
    """What an L1 job needs, 150 files, each with a block of its kind."""
    found = {}
    for wanted in requirements(TABLE, "l1"):
        kind = TABLE.find(wanted.type)
        assert kind is not None
        band = wanted.band or ("00" if kind.band_named else None)
        name = named(wanted.type, satellite="S2B" if kind.unit_dependent else "S2_", band=band)
        found[name] = {
            "AUX_ECMWFD": tarred({f"S2D{n:04d}": grib(str(n)) for n in range(3)}),
            "AUX_CAMSFO": tarred({f"z_cams_{n}.grib": grib(str(n)) for n in range(2)}),
            "GIP_OLQCPA": zipped({"a.xml": b"<a/>"}),
        }.get(wanted.type, f"<{name}/>".encode())
    return found


def test_from_publication_to_the_folders_of_an_l1_job(services: Services, server: ODataServer, tmp_path: Path) -> None:
    held = blocks()
    for number, (name, block) in enumerate(held.items()):
        server.publish(f"{name}.TGZ", delivered(name, block), late=number)
    poll = AuxPoll(services)
    taken = poll.run()
    while taken < len(held):
        more = poll.run()
        assert more, "files stay pending"
        taken += more
    assert poll.run() == 0
    assert len(server.tokens) > 1  # they live two seconds

    bucket = services.settings.bucket_auxiliary
    catalogue = Catalogue(services.store, bucket)
    wanted = requirements(TABLE, "l1")
    chosen = select(wanted, catalogue.by_type(each.type for each in wanted), "S2B", SENSING)
    assert not chosen.missing
    assert set(chosen.files) == {name.text for name in held}
    entries = [catalogue.find(name) for name in chosen.files]
    assert all(entry.created - entry.published < timedelta(minutes=10) for entry in entries if entry.published)
    laid = Layer(services.store, bucket, TABLE, poll.intake.limits).lay_out(entries, tmp_path)
    assert len(laid) == 151  # the aerosol forecast's two GRIBs
    (meteo,) = (tmp_path / "S2IPF-ECMWF").iterdir()
    assert meteo.read_bytes() == grib("0") + grib("1") + grib("2")
    assert len(list((tmp_path / "S2IPF-GIPP").glob("S2B_OPER_GIP_VIEDIR_*_B*.xml"))) == 13


def test_large_and_real_files_and_the_catalogue_made_again(
    services: Services, server: ODataServer, real_data: Path
) -> None:
    large = named("AUX_CAMSFO")
    block = bytes(range(256)) * (90_000)  # 23 MB: several parts
    server.publish(f"{large}.TGZ", tarred({f"{large}.DBL": block, f"{large}.HDR": header(large)}, "w:gz"))
    for folder in (path for path in (real_data / "auxiliary").iterdir() if path.is_dir()):
        files = {file.name: file.read_bytes() for file in folder.iterdir()}
        server.publish(f"{folder.name}.TGZ", tarred(files, "w:gz"))
    assert AuxPoll(services).run() == 5

    store, bucket = services.store, services.settings.bucket_auxiliary
    catalogue = Catalogue(store, bucket)
    entry = catalogue.find(large.text)
    assert b"".join(store.read(bucket, f"{entry.prefix}{entry.files[0].path}")) == block
    before = {info.key: store.get(bucket, info.key)[0] for info in store.list(bucket, "catalogue/")}
    assert len(before) == 5
    for key in before:
        store.delete(bucket, key)
    assert catalogue.rebuild() == 5
    assert {info.key: store.get(bucket, info.key)[0] for info in store.list(bucket, "catalogue/")} == before

    l0u = requirements(TABLE, "l0u")
    chosen = select(l0u, catalogue.by_type(each.type for each in l0u), "S2B", SENSING)
    assert not chosen.missing
    assert json.loads(chosen.model_dump_json())["satellite"] == "S2B"
