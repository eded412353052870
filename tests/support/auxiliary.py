"""Auxiliary files made up: their names, headers and archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from shared.auxiliary.catalogue import AuxiliaryEntry
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.bootstrap import Services
from shared.domain.auxiliary.names import AuxiliaryName

DAY0 = datetime(2022, 4, 13, tzinfo=UTC)


def day(number: float) -> datetime:
    """``DAY0`` and so many days, whole seconds."""
    return DAY0 + timedelta(seconds=round(number * 86400))


def named(
    kind: str = "AUX_ECMWFD",
    start: float = 0,
    stop: float = 2,
    created: float = 0,
    *,
    satellite: str = "S2_",
    band: str | None = None,
    site: str = "ADG_",
) -> AuxiliaryName:
    """A name of this type; times in days from ``DAY0``."""
    span = f"V{day(start):%Y%m%dT%H%M%S}_{day(stop):%Y%m%dT%H%M%S}"
    tail = "" if band is None else f"_B{band}"
    return AuxiliaryName.parse(f"{satellite}_OPER_{kind}_{site}_{day(created):%Y%m%dT%H%M%S}_{span}{tail}")


def header(name: AuxiliaryName, **other: str) -> bytes:
    """Its Earth Explorer header; ``other`` replaces the text of elements."""
    texts = {
        "File_Name": name.text,
        "Mission": "Sentinel-2",
        "File_Class": name.file_class,
        "File_Type": name.type,
        "File_Version": "0001",
        "Validity_Start": f"UTC={name.start:%Y-%m-%dT%H:%M:%S}",
        "Validity_Stop": f"UTC={name.stop:%Y-%m-%dT%H:%M:%S}",
        "Creation_Date": f"UTC={name.creation:%Y-%m-%dT%H:%M:%S}",
    } | other
    of = {key: f"<{key}>{text}</{key}>" for key, text in texts.items() if text}
    top = "".join(of.get(key, "") for key in ("File_Name", "Mission", "File_Class", "File_Type", "File_Version"))
    validity = f"<Validity_Period>{of.get('Validity_Start', '')}{of.get('Validity_Stop', '')}</Validity_Period>"
    source = f"<Source><System>ADG_</System>{of.get('Creation_Date', '')}</Source>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Earth_Explorer_Header xmlns="http://eop-cfi.esa.int/S2/S2_SCHEMAS">'
        f"<Fixed_Header>{top}{validity}{source}</Fixed_Header><Variable_Header/></Earth_Explorer_Header>"
    ).encode()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar (``w``) or TGZ (``w:gz``) of these files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for path, body in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return held.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in files.items():
            archive.writestr(path, body)
    return held.getvalue()


def grib(text: str) -> bytes:
    """What begins and ends as a GRIB message."""
    return b"GRIB" + text.encode() + b"7777"


L0U_BLOCKS: Final = {
    "GIP_DATATI": b"<G><DATA><GPS_TIME_TAI unit='s'>-19</GPS_TIME_TAI></DATA></G>",
    "AUX_UT1UTC": b"  Beginning 1 January 2017:\n     TAI-UTC = 37.000 000 seconds\n",
    "GIP_ATMSAD": b"<G/>",
    "GIP_ATMIMA": b"<G/>",
}
"""Types of the job l0u, with what the stand-in of tests/support/awaiting.yaml reads out of them."""
AWAITING: Final = Path(__file__).with_name("awaiting.yaml")
"""A processor set that needs auxiliary files."""


def take_in(services: Services, name: AuxiliaryName, block: bytes = b"<xml/>", *, told: bool = True) -> AuxiliaryEntry:
    """Make a file usable; without ``told`` nobody is told of it."""
    intake = Intake(
        services.store,
        services.settings.bucket_auxiliary,
        services.clock,
        load_types(),
        Limits(files=100, size=1 << 20),
        largest=1 << 20,
        ledger=services.ledger if told else None,
    )
    return intake.take(Delivery(f"{name}.TGZ", "test"), iter([delivered(name, block)]))


def for_l0u(services: Services, *kinds: str, told: bool = True) -> None:
    """Make these types of the job l0u usable, for ten years from ``DAY0``; all of them where none is named."""
    for kind in kinds or L0U_BLOCKS:
        name = named(kind, 0, 3650, band="00" if kind.startswith("GIP") else None)
        take_in(services, name, L0U_BLOCKS[kind], told=told)


def for_l2(services: Services, *kinds: str, told: bool = True) -> None:
    """The same for the mandatory types of the job l2."""
    for kind in kinds or ("GIP_PROBA2", "GIP_JP2KPA", "GIP_OLQCPA"):
        take_in(services, named(kind, 0, 3650, band="00"), told=told)


def delivered(name: AuxiliaryName, block: bytes = b"<xml/>") -> bytes:
    """The TGZ of an auxiliary file: data block and header."""
    return tarred({f"{name}.DBL": block, f"{name}.HDR": header(name)}, "w:gz")
