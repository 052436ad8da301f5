"""A depth-parallel network on a live video, in twenty lines; needs numpy only."""

import numpy as np

import pvnet
from pvnet import models
from pvnet.video.synthetic import SyntheticVideo

# Trained weights ship with pvnet: models.shipped() lists them.
plan = pvnet.compile(models.pretrained("par_densenet", wiring="predictive"), lanes=2)
_, height, width = plan.inputs["frame"]
stream = plan.stream()

for frame in SyntheticVideo(seed=1, height=height, width=width, n_frames=40):
    out = stream.tick(frame.image)
    if out.valid.all():
        heatmaps = out["heatmaps"][0]  # [13, h, w] float32: one map per joint
        head = np.unravel_index(heatmaps[0].argmax(), heatmaps[0].shape)
        ages = [int(age[0]) for age in out.age.values()]
        print(f"tick {out.tick[0]}: head at {head}, {out.latency_ms:.1f} ms, ages {ages}")
