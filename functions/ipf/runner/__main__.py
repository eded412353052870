"""``python -m functions.ipf.runner``."""

from __future__ import annotations

import sys

from functions.ipf.runner.cli import main

sys.exit(main())
