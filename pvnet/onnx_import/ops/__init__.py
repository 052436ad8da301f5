"""How each operation of ONNX becomes nodes of the graph."""
