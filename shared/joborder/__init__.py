"""Job orders: the XML document by which every IPF is called.

The structure is that of the generic PDGS-IPF interface (GMES-GSEG-EOPG-TN-09-0016): configuration, then one or more
``Ipf_Proc``, each with its inputs and outputs. The reader trusts no ``count`` and looks inputs up by file type;
whatever it takes is written back with the same meaning, and what is written here it reads back to the byte.
"""

from __future__ import annotations

from shared.joborder.model import (
    FILE_NAME_TYPES,
    LOG_LEVELS,
    BreakFile,
    JobInput,
    JobOrder,
    JobOutput,
    JobTask,
    Template,
    TimeInterval,
)
from shared.joborder.reading import parse_job_order, read_job_order
from shared.joborder.writing import format_job_order

__all__ = [
    "FILE_NAME_TYPES",
    "LOG_LEVELS",
    "BreakFile",
    "JobInput",
    "JobOrder",
    "JobOutput",
    "JobTask",
    "Template",
    "TimeInterval",
    "format_job_order",
    "parse_job_order",
    "read_job_order",
]
