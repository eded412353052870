"""``python -m functions.ipf.standin``."""

from __future__ import annotations

import sys

from functions.ipf.standin.cli import main

sys.exit(main())
