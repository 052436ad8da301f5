"""Writes shim_cases.npz, the outputs of exact networks on the stand-in for a device:

    PYTHONPATH=tests/cuda python tests/cuda/record_shim.py

Needs a build with -DPVNET_SHIM=ON. To be run anew when exact_nets.py changes.
"""

from __future__ import annotations

from pathlib import Path

import exact_nets
import numpy as np

FILE = Path(__file__).with_name("shim_cases.npz")
LIMIT = 200_000  # bytes


def main() -> None:
    arrays = {}
    for case in exact_nets.CASES:
        for dtype in exact_nets.DTYPES:
            outputs = exact_nets.play(case, backend="cuda", isa="shim", dtype=dtype)
            for name, values in outputs.items():
                # The last ticks depend on all before them.
                arrays[f"{case}/{dtype}/{name}"] = values[-2:]
    np.savez_compressed(FILE, **arrays)
    size = FILE.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{FILE.name} has {size} bytes, more than {LIMIT}: take smaller maps")
    print(f"{len(arrays)} outputs, {size} bytes")


if __name__ == "__main__":
    main()
