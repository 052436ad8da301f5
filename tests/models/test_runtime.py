"""The compiled models give, tick by tick, what their torch twins give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import pvnet  # noqa: E402
from pvnet import models  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = [
    ("par_inception", {"stages": 10, "clocks": "single", "skips": "head", "classes": 4}),
    ("par_inception", {"stages": 5, "clocks": "i3d", "skips": "all", "classes": 4}),
    ("par_densenet", {"stages": 7, "joints": 3, "skips": "all"}),
    ("par_densenet", {"stages": 2, "joints": 3, "feedback": True}),
]


@pytest.mark.parametrize("backend", ["ref", "cpu"])
@pytest.mark.parametrize("wiring", ["sequential", "predictive"])
@pytest.mark.parametrize(("name", "config"), CASES)
def test_runtime_is_the_twin(name, config, wiring, backend):
    torch.manual_seed(0)
    net = getattr(models, name)(wiring=wiring, width=0.125, size=32, **config).eval()
    for key, value in net.state_dict().items():  # batch norm that has something to fold
        if key.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif key.endswith("running_mean"):
            value.uniform_(-0.2, 0.2)
    ticks = 6 if "feedback" in config else 13
    clip = torch.randn(1, 3, ticks, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (expected,) = net(clip).values()
    stream = pvnet.compile(net, backend=backend, lanes=1).stream()
    (output,) = (o.name for o in net.graph.outputs)
    scale = float(expected.abs().max())
    for t in range(clip.shape[2]):
        value = torch.as_tensor(stream.tick(clip[:, :, t].contiguous().numpy())[output])
        wanted = expected[:, :, t]
        torch.testing.assert_close(
            value.reshape(wanted.shape), wanted, rtol=1e-3, atol=1e-4 * max(scale, 1.0)
        )
