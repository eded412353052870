"""``python -m functions.ipf.l0u <JobOrder.xml>``."""

from __future__ import annotations

import sys

from functions.ipf.l0u.main import run

sys.exit(run())
