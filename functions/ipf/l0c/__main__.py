"""``python -m functions.ipf.l0c <JobOrder.xml>``."""

from __future__ import annotations

import sys

from functions.ipf.l0c.main import run

sys.exit(run())
