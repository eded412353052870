"""A stand-in for each licensed processor: called as it is, with outputs of the right names, counts and structure.

Nothing is processed. Whatever it writes says so: the first line of its log, the software in metadata, file class TEST.
"""

from __future__ import annotations

from typing import Final

NAME: Final = "STAND-IN"
VERSION: Final = "1.0.0"
SOFTWARE: Final = f"{NAME} {VERSION}, no licensed processor"
