"""Auxiliary files made up: their names, headers and archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

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


def delivered(name: AuxiliaryName, block: bytes = b"<xml/>") -> bytes:
    """The TGZ of an auxiliary file: data block and header."""
    return tarred({f"{name}.DBL": block, f"{name}.HDR": header(name)}, "w:gz")
