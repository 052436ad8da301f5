"""Speaks the protocol of pvnet/label/pose_worker.py; joint j of a frame lies at (level + j, j).

Frames darker than 10 have nobody in them; a frame brighter than 250 ends the process, over one
of about 245 it falls asleep.
"""

import json
import struct
import sys
import time

import numpy as np

HEAD = struct.Struct("<BII")
sys.stdout.buffer.write(json.dumps({"name": "fake", "version": "1", "landmarks": 33}).encode())
sys.stdout.buffer.write(b"\n")
sys.stdout.flush()
videos = 0
while True:
    kind, h, w = HEAD.unpack(sys.stdin.buffer.read(HEAD.size))
    if kind == 0:
        break
    if kind == 1:
        videos += 1
        continue
    image = np.frombuffer(sys.stdin.buffer.read(h * w * 3), np.uint8)
    level = float(image.mean())
    if level > 250:
        sys.exit("too bright for me")
    if 242 < level < 248:
        time.sleep(1000)
    out = np.full((33, 3), np.nan, "<f4")
    if level >= 10:
        out[:] = np.stack([level + np.arange(33), np.arange(33), np.full(33, 0.9)], 1)
    sys.stdout.buffer.write(out.tobytes())
    sys.stdout.flush()
