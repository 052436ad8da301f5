"""Networks in ONNX files. The folder needs the package onnx, and no torch."""

from pvnet.onnx_import.model import from_onnx

__all__ = ["from_onnx"]
