"""Running networks: compile a graph into a Plan, open Streams on it, feed frames (no torch)."""

from __future__ import annotations

from pvnet._core import ALGORITHMS, EXECUTORS
from pvnet.runtime.calibration.calibrate import calibrate
from pvnet.runtime.compile import compile
from pvnet.runtime.device_array import DeviceArray
from pvnet.runtime.installation import info
from pvnet.runtime.measure import measure_costs
from pvnet.runtime.model import Model, load, save
from pvnet.runtime.plan import Plan
from pvnet.runtime.stream import Stream
from pvnet.runtime.tick import Tick

__all__ = [
    "ALGORITHMS",
    "EXECUTORS",
    "DeviceArray",
    "Model",
    "Plan",
    "Stream",
    "Tick",
    "calibrate",
    "compile",
    "info",
    "load",
    "measure_costs",
    "save",
]
