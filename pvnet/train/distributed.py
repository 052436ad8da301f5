"""One run on several processes: torchrun starts them, DistributedDataParallel joins them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from pvnet.errors import InvalidArgumentError, UnsupportedError


@dataclass(frozen=True)
class Group:
    """The processes of one run, and which of them this is.

    Attributes:
        rank: of this process; 0 writes the files.
        world: number of processes.
        device: of this process.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes, the same in all of them."""
        if self.world > 1:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def extremes(self, value: int) -> tuple[int, int]:
        """The smallest and the largest value of all processes, the same in all of them."""
        if self.world == 1:
            return value, value
        both = torch.tensor([value, -value], device=self.device)
        dist.all_reduce(both, op=dist.ReduceOp.MIN)
        return int(both[0]), -int(both[1])

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()

    def wrap(self, net: nn.Module) -> nn.Module:
        """The network whose gradients are means over the processes."""
        if self.world == 1:
            return net
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=ids)


def choose_device(wanted: str, local_rank: int = 0) -> torch.device:
    """The device of the process `local_rank` of this machine.

    Raises:
        UnsupportedError: CUDA was asked for and is not there.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UnsupportedError(
            "[train] there is no CUDA device: got run.device = 'cuda', expected a machine with "
            "one. Set run.device=cpu."
        )
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank)


@contextmanager
def join(device: str) -> Iterator[Group]:
    """Joins the processes that torchrun started, as its environment says; alone without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if world == 1:
        yield Group(0, 1, chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), world, chosen)
    finally:
        # Only a group that nothing refers to is taken apart with its threads, and a distributed
        # network is a cycle of references. A thread that outlives the interpreter aborts it.
        gc.collect()
        dist.destroy_process_group()


def share(batch: int, world: int) -> int:
    """Clips per process.

    Raises:
        InvalidArgumentError: the batch cannot be divided evenly.
    """
    if batch % world:
        raise InvalidArgumentError(
            f"[train] the batch cannot be shared evenly: got run.batch = {batch} and {world} "
            "processes, expected a multiple. Change run.batch."
        )
    return batch // world
