"""42 networks that people have: how many from_torch converts, and that they equal torch."""

from __future__ import annotations

import pytest
from network_table import NETWORKS, environment, measure, table

AT_LEAST = 36  # of 42


@pytest.mark.slow
def test_networks_that_people_have_convert_and_equal_torch(tmp_path_factory):
    environment(tmp_path_factory.getbasetemp().parent / "networks")
    rows = [measure(listed) for listed in NETWORKS]
    print(table(rows))
    assert len(rows) == 42
    wrong = [row.name for row in rows if row.error is not None and not row.fits]
    assert not wrong, table(rows)
    assert sum(row.fits for row in rows) >= AT_LEAST, table(rows)
    assert all(row.moved > 0.01 for row in rows if row.fits), table(rows)  # the frame matters
    known = ("resnet50", "mobilenet_v2", "efficientnet_b0", "yolo_v8_body", "convnext_tiny")
    assert set(known) <= {row.name for row in rows if row.fits}
