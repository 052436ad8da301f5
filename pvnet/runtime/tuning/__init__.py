"""Choices of compile by measurement, kept for this machine in a file.

One direction: result < cache; timing < layers, lanes < tune. Nothing is imported here, as `Plan`
names a `Tuning`.
"""
