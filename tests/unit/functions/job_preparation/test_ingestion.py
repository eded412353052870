"""The order of the licensed ingestion, from the real auxiliary files of its day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from functions.job_preparation.step import prepare
from shared.adapters.memory import MemoryStore
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.joborder import parse_job_order
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.provision import Provision
from shared.ledger.records import Complete, Order, SessionChunk
from shared.settings import Settings
from tests.support.auxiliary import tarred
from tests.support.house import VirtualClock

SESSION = "S2B_20220413132241026648"
T0 = datetime(2022, 4, 13, 13, 40, tzinfo=UTC)


def test_the_order_and_the_job_order_follow_from_the_real_files(real_data: Path) -> None:
    clock = VirtualClock(T0)
    services = Services(Settings(processor_set="esa"), clock)
    vars(services).update(store=MemoryStore(clock))
    limits = Limits(files=10, size=16 << 20)
    intake = Intake(services.store, "s2-auxiliary", clock, load_types(), limits, 16 << 20, ledger=services.ledger)
    for folder in sorted(path for path in (real_data / "auxiliary").iterdir() if path.is_dir()):
        body = tarred({path.name: path.read_bytes() for path in sorted(folder.iterdir())}, "w:gz")
        intake.take(Delivery(f"{folder.name}.TGZ", "test"), iter([body]))
    complete = Complete(
        created=T0,
        session=SESSION,
        station="SGS_",
        satellite="S2B",
        t0=T0,
        pass_stop=T0 - timedelta(minutes=8),
        files=(SessionChunk(name="a.raw", key="a.raw", channel=1, size=1, sha256="0" * 64),),
    )
    services.ledger.create(keys.complete(SESSION), complete)
    assert prepare(object_created("s2-ledger", keys.complete(SESSION), "e"), services) == 1
    (work,) = sort_work(services.ledger.list(keys.session(SESSION))).values()
    order = services.ledger.read(work.place.order, Order)
    assert [name[9:19] for name in order.auxiliary] == ["GIP_ATMIMA", "GIP_ATMSAD", "GIP_DATATI", "AUX_UT1UTC"]
    decided = services.ledger.read(work.place.provision, Provision)
    assert (decided.job, decided.unit.satellite, decided.warnings) == ("l0u", "S2B", ())
    document = parse_job_order(services.store.get("s2-ledger", work.place.job_order)[0])
    assert dict(document.parameters) == {
        "MissionID": "S2B",
        "DownlinkTime": "20220413T132241",
        "AcquisitionStart": "20220413T132241",
        "Processing_Station": "S2PS",
        "Acquisition_Station": "SGS_",
        "CADUAnnotations": "false",
        "theoretical_line_period": "1.565873622",
        "ql_bands": "02,03,04,10,11",
        "minimum_packet_length": "0",
        "gps_to_tai": "19",
        "tai_to_utc": "-37",
        "orbit_offset": "27",
        "cyclic_orbit_offset": "143",
    }
    assert document.input_files("STO_CADU_S") == ("{base}/INPUT/",)
