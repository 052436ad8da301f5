"""Independent items of work, spread over the processes and machines of a Ray cluster.

Ray starts workers where there is room and tells when one is gone; what that means is decided here.
Every worker makes its work once (opens, compiles, starts) and then takes one share of items at a
time. So a worker that dies costs its share and nothing else. Its items go back, one by one, and
another worker is started. An item that has ended several workers is given up and named.
No result depends on which worker made it, nor on the order in which they came.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pvnet.cluster.connection import ClusterError, check_address, connect, load_ray, shorten
from pvnet.errors import InvalidArgumentError

# Seconds without an answer after which the machines are counted again.
_PATIENCE_S = 30.0

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cluster:
    """Where work is spread, and how often it is tried.

    Attributes:
        address: "local": processes of this machine, for as long as they are needed; "auto": the
            cluster that this machine belongs to (or $RAY_ADDRESS); or HOST:PORT of its head. A
            process that has called `ray.init` itself keeps that connection.
        workers: at the same time; None: as many as the cluster has room for.
        attempts: workers that an item may end, alone, before it is given up.

    Raises:
        InvalidArgumentError: for another address, or numbers below 1.
    """

    address: str = "local"
    workers: int | None = None
    attempts: int = 3

    def __post_init__(self) -> None:
        check_address(self.address)
        if self.attempts < 1 or (self.workers is not None and self.workers < 1):
            raise InvalidArgumentError(
                f"[cluster] workers and attempts: got {self.workers} and {self.attempts}, "
                "expected at least 1. Change them."
            )


@dataclass
class Outcome(Generic[Result]):
    """What came of the items, by their number.

    Attributes:
        results: of every item that is done.
        failed: items that were given up, and why.
        retried: items whose worker died and that were given to another one, in order.
        workers: that worked at the same time.
        lost_workers: that died.
    """

    results: dict[int, Result] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    retried: list[int] = field(default_factory=list)
    workers: int = 0
    lost_workers: int = 0

    def document(self) -> dict[str, Any]:
        """Plain data for reports, without the results."""
        failed = {str(k): self.failed[k] for k in sorted(self.failed)}
        return {
            "workers": self.workers,
            "lost_workers": self.lost_workers,
            "retried": self.retried,
            "failed": failed,
        }


def spread(
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    cluster: Cluster,
    *,
    cpus: int = 1,
    gpus: int = 0,
    share: int = 1,
    done: Callable[[int], None] | None = None,
) -> Outcome[Result]:
    """Do every item on some worker of a cluster.

    Workers have the working folder, the `PVNET_*` variables and the module paths of this process,
    as far as their machine has them. What `make` and the items hold travels to them: paths, not
    what is in the files.

    Args:
        make: called once by every worker; gives what does one item after the other.
        items: the work.
        cluster: where.
        cpus: processors of a worker.
        gpus: devices of a worker.
        share: items handed over at a time; fewer where that would leave workers idle.
        done: called in this process with the number of every item that is done or given up.

    Raises:
        UnsupportedError: Ray is not installed.
        ClusterError: no cluster answers, it has no room (any more), `cluster.attempts` workers
            running died while they started, or what one gave back cannot travel.
        Exception: what `make` or an item raised; other items are not waited for.
    """
    ray = load_ray()
    outcome: Outcome[Result] = Outcome()
    if not items:
        return outcome
    wanted = None if cluster.workers is None else cluster.workers * cpus
    with connect(ray, cluster.address, wanted):
        room = _room(ray, cpus, gpus)
        outcome.workers = min(cluster.workers or room, room, len(items))
        size = max(1, min(share, len(items) // (4 * outcome.workers)))
        force = _Force(ray, make, cluster.attempts, {"num_cpus": cpus, "num_gpus": gpus})
        force.run(items, outcome, size, done)
    outcome.retried.sort()
    return outcome


def _room(ray: Any, cpus: int, gpus: int) -> int:
    """Workers that fit into the machines of the cluster when nobody else uses it."""
    alive = [node.get("Resources", {}) for node in ray.nodes() if node.get("Alive")]
    fit = [
        int(min(node.get("CPU", 0) // cpus, node.get("GPU", 0) // gpus if gpus else float("inf")))
        for node in alive
    ]
    if sum(fit) < 1:
        largest = max((int(node.get("CPU", 0)) for node in alive), default=0)
        raise ClusterError(
            f"[cluster] no machine has room for a worker: got {len(alive)} machines, the "
            f"largest with {largest} CPUs, expected one with {cpus} CPUs and {gpus} GPUs. Ask for "
            "less per worker (--lanes, --backend), or add machines."
        )
    return sum(fit)


class _Worker:
    """What runs in a process of the cluster; what the work raises is handed back as a value."""

    def __init__(self) -> None:
        self._work: Callable[[Any], Any] | None = None

    def start(self, surroundings: dict[str, Any], made: bytes) -> Exception | None:
        """Make the work."""
        with contextlib.suppress(OSError):
            os.chdir(surroundings["folder"])
        sys.path.extend(p for p in surroundings["paths"] if p not in sys.path)
        os.environ.update(surroundings["variables"])
        try:
            self._work = load_ray().cloudpickle.loads(made)()
        except Exception as error:
            return _add_machine(error)
        return None

    def do(self, items: Iterable[Any]) -> list[Any] | Exception:
        """Do items, one after the other."""
        assert self._work is not None
        try:
            return [self._work(item) for item in items]
        except Exception as error:
            return _add_machine(error)


def _add_machine(error: Exception) -> Exception:
    error.add_note(f"on the machine {socket.gethostname()}")
    return error


def _surroundings() -> dict[str, Any]:
    return {
        "folder": os.getcwd(),  # noqa: PTH109  (travels as text)
        "paths": [path for path in sys.path if path],
        "variables": {k: v for k, v in os.environ.items() if k.startswith("PVNET_")},
    }


class _Force:
    """The workers of one run."""

    def __init__(self, ray: Any, make: Any, attempts: int, needs: dict[str, Any]) -> None:
        # Ray could restart workers by itself, but would not say which item they died over.
        options = {**needs, "max_restarts": 0, "max_task_retries": 0}
        self._ray, self._kind = ray, ray.remote(**options)(_Worker)
        self._start = (_surroundings(), ray.put(ray.cloudpickle.dumps(make)))
        self._cpus, self._gpus = needs["num_cpus"], needs["num_gpus"]
        self._attempts, self._lost_starts = attempts, 0
        self._busy: dict[Any, tuple[Any, list[int] | None]] = {}  # call -> worker, its items
        self._idle: list[Any] = []

    def run(
        self,
        items: Sequence[Any],
        outcome: Outcome[Any],
        size: int,
        done: Callable[[int], None] | None,
    ) -> None:
        """Do all items."""
        todo = deque(
            list(range(begin, min(begin + size, len(items))))
            for begin in range(0, len(items), size)
        )
        deaths: Counter[int] = Counter()
        try:
            for _ in range(outcome.workers):
                self._hire()
            while len(outcome.results) + len(outcome.failed) < len(items):
                while todo and self._idle:
                    worker, part = self._idle.pop(), todo.popleft()
                    self._busy[worker.do.remote([items[i] for i in part])] = (worker, part)
                for i in self._next(outcome, todo, deaths):
                    if done is not None:
                        done(i)
        finally:
            for worker in [*self._idle, *(w for w, _ in self._busy.values())]:
                self._ray.kill(worker)

    def _hire(self) -> None:
        worker = self._kind.remote()
        self._busy[worker.start.remote(*self._start)] = (worker, None)

    def _next(
        self, outcome: Outcome[Any], todo: deque[list[int]], deaths: Counter[int]
    ) -> list[int]:
        """Wait for one worker; the items that are settled by what it says."""
        ready: list[Any] = []
        while not ready:
            ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=_PATIENCE_S)
            if not ready:  # somebody works, or others fill the cluster, or it has shrunk
                _room(self._ray, self._cpus, self._gpus)
        (call,) = ready
        worker, part = self._busy.pop(call)
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:  # the worker lives
            raise ClusterError(
                f"[cluster] what a worker gave back cannot travel: got {shorten(error)}, "
                "expected results and errors that can be pickled. Give back plain data."
            ) from error
        except self._ray.exceptions.RayError as error:
            self._ray.kill(worker)  # it may only have been out of reach
            outcome.lost_workers += 1
            self._hire()
            if part is None:
                self._lost_start(error)
                return []
            return self._give_back(part, error, outcome, todo, deaths)
        if isinstance(answer, Exception):
            raise answer
        self._idle.append(worker)
        if part is None:
            self._lost_starts = 0
            return []
        outcome.results.update(zip(part, answer, strict=True))
        return part

    def _lost_start(self, error: Exception) -> None:
        self._lost_starts += 1
        if self._lost_starts >= self._attempts:
            raise ClusterError(
                f"[cluster] workers do not start: got {self._lost_starts} deaths running, the "
                f"last by {shorten(error)}, expected a worker that is ready. Check that every "
                "machine of the cluster has this version of pvnet and enough memory."
            ) from error

    def _give_back(
        self,
        part: list[int],
        error: Exception,
        outcome: Outcome[Any],
        todo: deque[list[int]],
        deaths: Counter[int],
    ) -> list[int]:
        """Items whose worker is gone, alone from here on; those that are given up."""
        given_up = []
        for i in part:
            deaths[i] += len(part) == 1  # of a share, nobody knows which item it was
            if deaths[i] < self._attempts:
                todo.append([i])
                if i not in outcome.retried:
                    outcome.retried.append(i)
                continue
            given_up.append(i)
            outcome.failed[i] = (
                f"[cluster] every worker that took it died: got {deaths[i]} deaths, the last "
                f"by {shorten(error)}, expected a result. Do it alone to see why, or leave it out."
            )
        return given_up
