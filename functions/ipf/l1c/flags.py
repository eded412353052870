"""The eight technical quality flags of a pixel, in the order of the layers of MSK_QUALIT, and whence they come.

========= ==================== ==================================================================================
bit       layer                set where the nearest sample of L1B ...
========= ==================== ==================================================================================
0         ANC_LOST             was taken in a gap of the orbit or attitude data
1         ANC_DEG              (never: an ancillary packet is sound or refused)
2         MSI_LOST             was in a packet that did not come
3         MSI_DEG              was in a packet that came and does not decode; or the resampling kernel reached into
                               a packet that is lost or damaged, whose lines were filled from their neighbours
4         QT_DEFECTIVE_PIXELS  (never: no table of defective pixels is used)
5         QT_NODATA_PIXELS     has no value; outside the swath it is not set, as in Sentinel-2 products
6         QT_PARTIALLY_...     (never: there is no crosstalk correction)
7         QT_SATURATED_...     stood at the highest count
========= ==================== ==================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shared.msi.instrument import LINES_PER_PACKET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from functions.ipf.safe.quality import Quality
    from functions.ipf.safe.working import BandImage, Datastrip

ANC_LOST: Final = 1 << 0
MSI_LOST: Final = 1 << 2
MSI_DEGRADED: Final = 1 << 3
NO_DATA: Final = 1 << 5
SATURATED: Final = 1 << 7
LAYERS: Final = 8
_GAP: Final = 1.5
"""A step between ancillary samples that is longer than this many usual ones is a gap."""


def line_flags(datastrip: Datastrip, image: BandImage, quality: Quality) -> NDArray[np.uint8]:
    """Flags of each line of an image, those of saturation left out."""
    flags = np.zeros(image.lines, np.uint8)
    for packets, flag in ((quality.lost, MSI_LOST), (quality.degraded, MSI_DEGRADED)):
        flags |= np.repeat(packets, LINES_PER_PACKET)[: image.lines].astype(np.uint8) * np.uint8(flag | NO_DATA)
    times = image.line_times_ns(np.arange(image.lines, dtype=np.float64) + 0.5)
    for samples in (datastrip.gps_points, datastrip.attitudes):
        flags[_in_gap(times, [sample.gps_ns for sample in samples])] |= ANC_LOST
    return flags


def _in_gap(times: NDArray[np.float64], samples: Sequence[int]) -> NDArray[np.bool_]:
    """Where an instant lies between samples that are farther apart than usual, or beyond them by more than a step."""
    at = np.sort(np.array(samples, np.float64))
    if at.size < 2:
        return np.ones(times.shape, np.bool_)
    steps = np.diff(at)
    longest = _GAP * float(np.median(steps))
    after = np.searchsorted(at, times)
    inside = np.clip(after - 1, 0, steps.size - 1)
    beyond = (times < at[0] - longest) | (times > at[-1] + longest)
    between = (after > 0) & (after < at.size) & (steps[inside] > longest)
    return np.asarray(beyond | between, np.bool_)


def planes(flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The layers of MSK_QUALIT, (8, rows, columns) of 0 and 1, of flags (rows, columns).

    Of a whole tile they take a gigabyte at 10 m: nothing else as large is held beside them.
    """
    layers = np.empty((LAYERS, *flags.shape), np.uint8)
    for bit, layer in enumerate(layers):
        np.bitwise_and(flags >> bit, 1, out=layer)
    return layers
