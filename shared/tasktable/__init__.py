"""Task tables of the licensed chain: reading them, and their expansion into processes with job orders.

``reading`` reads a task table, ``scheme`` holds the chain as data (``chain/*.yaml``: parameters, producers, modes, the
tables of scheme 6.1 and the calls that stand in no table), ``fanout`` reads the small files that decide how many
processes there are, and ``expansion`` makes them. ``calls`` writes the job orders outside the tables.
"""

from __future__ import annotations

from shared.tasktable.calls import call_order
from shared.tasktable.expansion import Expansion, expand, expand_pool
from shared.tasktable.fanout import (
    Tile,
    block_sizes,
    read_frame_file,
    read_gri_list,
    read_segmentation,
    read_tile_list,
)
from shared.tasktable.history import History, Made
from shared.tasktable.parameters import Run
from shared.tasktable.process import Link, Process, gipp_sources
from shared.tasktable.reading import parse_task_table, read_task_table
from shared.tasktable.scheme import Scheme, load_scheme
from shared.tasktable.splitting import Facts

__all__ = [
    "Expansion",
    "Facts",
    "History",
    "Link",
    "Made",
    "Process",
    "Run",
    "Scheme",
    "Tile",
    "block_sizes",
    "call_order",
    "expand",
    "expand_pool",
    "gipp_sources",
    "load_scheme",
    "parse_task_table",
    "read_frame_file",
    "read_gri_list",
    "read_segmentation",
    "read_task_table",
    "read_tile_list",
]
