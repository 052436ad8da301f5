"""The schemas of torch.ops.pvnet.* and how their kernels are registered.

`Library.define` + `impl` from Python: no compiled torch library is needed, and a call costs a few
microseconds. Dispatch: CPU kernels call `pvnet._core`. CUDA kernels do where tensors are channels
last (pvnet.ops.device_op), else they run plain torch (pvnet.ops.reference), as every other device
does. Fake kernels compute shapes only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pvnet.ops.checks import refuse

LIBRARY = torch.library.Library("pvnet", "DEF")  # type: ignore[no-untyped-call]

_WINDOW = "int[3] stride=[1, 1, 1], int[2] padding=[0, 0]"
_CONV = _WINDOW + ", int[3] dilation=[1, 1, 1], int groups=1"
SCHEMAS = {
    "causal_conv3d": f"(Tensor clip, Tensor weight, Tensor? bias=None, {_CONV}) -> Tensor",
    "causal_conv3d_step": "(Tensor frame, Tensor(a!) ring, SymInt tick, Tensor weight, "
    f"Tensor? bias=None, {_CONV}) -> (Tensor, Tensor)",
    "causal_max_pool3d": f"(Tensor clip, int[3] kernel, {_WINDOW}) -> Tensor",
    "causal_max_pool3d_step": "(Tensor frame, Tensor(a!) ring, SymInt tick, int[3] kernel, "
    f"{_WINDOW}) -> (Tensor, Tensor)",
    "causal_avg_pool3d": f"(Tensor clip, int[3] kernel, {_WINDOW}, "
    "bool count_include_pad=True) -> Tensor",
    "causal_avg_pool3d_step": "(Tensor frame, Tensor(a!) ring, SymInt tick, int[3] kernel, "
    f"{_WINDOW}, bool count_include_pad=True) -> (Tensor, Tensor)",
    "ring_write": "(Tensor(a!) ring, SymInt tick, Tensor x) -> ()",
    "ring_read": "(Tensor ring, SymInt tick, SymInt delay) -> Tensor",
}
for _name, _schema in SCHEMAS.items():
    LIBRARY.define(_name + _schema)  # type: ignore[no-untyped-call]


def register(
    name: str,
    *,
    cpu: Callable[..., Any],
    cuda: Callable[..., Any],
    other: Callable[..., Any],
    fake: Callable[..., Any],
) -> None:
    """Register the kernels of op `name`; `other` runs on every device but the CPU and CUDA."""
    LIBRARY.impl(name, cpu, "CPU")  # type: ignore[no-untyped-call]
    LIBRARY.impl(name, cuda, "CUDA")  # type: ignore[no-untyped-call]
    LIBRARY.impl(name, other, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pvnet::{name}", fake, lib=LIBRARY)


def register_no_grad(name: str, *, cure: str) -> None:
    """Make op `name` refuse tensors that require grad, and count its writes for autograd.

    Without this the op would silently cut the graph. The ring's version counter is raised, so that
    autograd notices when a tensor saved for backward has been overwritten.
    """
    op = getattr(torch.ops.pvnet, name).default
    mutated = [i for i, a in enumerate(op._schema.arguments) if a.is_write]

    def kernel(*args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() and any(
            isinstance(a, Tensor) and a.requires_grad for a in (*args, *kwargs.values())
        ):
            refuse(
                name,
                "no gradients through this operation",
                got="an argument that requires grad",
                expected="none, or torch.no_grad()",
                do=cure,
            )
        for i in mutated:
            ring = args[i] if i < len(args) else kwargs["ring"]
            if not ring.is_inference():
                torch.autograd.graph.increment_version(ring)
        with torch._C._AutoDispatchBelowAutograd():
            return op(*args, **kwargs)

    LIBRARY.impl(name, kernel, "Autograd")  # type: ignore[no-untyped-call]
