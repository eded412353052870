from __future__ import annotations

import numpy as np

from functions.ipf.l1b.geolocation import spread


def test_spread_reaches_from_edge_to_edge() -> None:
    nodes = np.array([[0.0, 8.0], [4.0, 12.0]])
    assert spread(nodes, 2, 4, slice(0, 2)).tolist() == [[2.0, 4.0, 6.0, 8.0], [4.0, 6.0, 8.0, 10.0]]
    assert spread(nodes, 2, 4, slice(1, 2)).tolist() == [[4.0, 6.0, 8.0, 10.0]]
