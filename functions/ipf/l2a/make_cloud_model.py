"""Make ``cloud_model.npz``, the trees that ``clouds.py`` evaluates, from the model file of the package s2cloudless.

Run by hand, once. The package is only unpacked, not installed: it would bring clients of network services along::

    python -m pip download --no-deps s2cloudless==1.7.3 && unzip s2cloudless-1.7.3-*.whl 's2cloudless/models/*'
    python functions/ipf/l2a/make_cloud_model.py s2cloudless/models/*.txt functions/ipf/l2a/cloud_model.npz

The model is by the authors of s2cloudless (Sinergise; Zupanc, "Improving Cloud Detection with Machine Learning", 2017)
and under CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). ``cloud_model.npz`` is that model in another
form (leaves cut to 32 bits) and under the same licence.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

_NUMERIC = "2"
"""LightGBM's decision type: ``value <= threshold`` goes left, no missing values."""


def arrays_of(text: str) -> dict[str, np.ndarray]:
    """The trees one after another: of each node its feature, threshold and children, of each leaf its value.

    A child from 0 is a node, below 0 a leaf, ``-1 - number``; both count within their own tree.
    """
    trees = text.split("\nTree=")[1:]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "leaf")}
    nodes, leaves = [0], [0]
    for tree in trees:
        lines = dict(line.split("=", 1) for line in tree.splitlines()[1:] if "=" in line)
        if lines["num_cat"] != "0" or set(lines["decision_type"].split()) != {_NUMERIC}:
            raise SystemExit("expected numerical decisions without missing values")
        for name, key, kind in (
            ("feature", "split_feature", np.uint8),
            ("threshold", "threshold", np.float32),
            ("left", "left_child", np.int16),
            ("right", "right_child", np.int16),
            ("leaf", "leaf_value", np.float32),
        ):
            exact = np.array(lines[key].split(), np.float64)
            columns[name].append(_below(exact) if name == "threshold" else exact.astype(kind))
        nodes.append(nodes[-1] + len(columns["feature"][-1]))
        leaves.append(leaves[-1] + len(columns["leaf"][-1]))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return joined | {"node_at": np.array(nodes, np.int32), "leaf_at": np.array(leaves, np.int32)}


def _below(exact: np.ndarray) -> np.ndarray:
    """The greatest 32-bit numbers not above these: a 32-bit pixel then takes the same way."""
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def main() -> int:
    """Read the model's text, write the arrays."""
    source, target = map(Path, sys.argv[1:3])
    np.savez_compressed(target, allow_pickle=False, **arrays_of(source.read_text("utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
