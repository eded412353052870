"""Command line: ``python -m functions.ipf.l2a <JobOrder.xml>``."""

import sys

from functions.ipf.common.processor import run_processor
from functions.ipf.l2a.process import NAME, VERSION, process

if __name__ == "__main__":
    sys.exit(run_processor(NAME, VERSION, process))
