"""Reading what an IPF may have written: plain files only, of bounded size.

An IPF shares its scratch folder with stage-out, which holds credentials. Through a link in place of a file those would
be read and stored (``/proc/self/environ``), a pipe would hold it for ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from shared.errors import BadInputError

_NOTE: Final = 1 << 16


def storable(text: str) -> str:
    """``text`` as a record can hold it: the bytes of a file's name that are no UTF-8 are escaped."""
    return text.encode(errors="backslashreplace").decode()


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading; BadInputError where it is a link, a pipe, a device. FileNotFoundError as usual."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInputError(path.name, "a plain file", error.strerror) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise BadInputError(path.name, "a plain file")
    return os.fdopen(number, "rb")


def read_note(path: Path) -> bytes:
    """A small file, whole; BadInputError where it is none."""
    with open_plain(path) as file:
        body = file.read(_NOTE + 1)
    if len(body) > _NOTE:
        raise BadInputError(path.name, f"at most {_NOTE} bytes")
    return body


def tail(log: Path, lines: int = 100, most: int = 1 << 18) -> list[str]:
    """The last lines of a log, of which at most ``most`` bytes are read; nothing where there is no log."""
    try:
        with open_plain(log) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - most))
            return file.read(most).decode(errors="replace").splitlines()[-lines:]
    except (FileNotFoundError, BadInputError):
        return []
