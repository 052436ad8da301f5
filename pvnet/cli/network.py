"""Which network a command works on: a model file, a built-in model, or a fresh one by name."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli.parse import fraction, natural, positive
from pvnet.cli.report import UsageError
from pvnet.cli.weights import random_weights
from pvnet.errors import FileError
from pvnet.graph import Graph

WIRINGS = ("sequential", "pipelined", "predictive")
ARCHITECTURES = ("par_densenet", "par_inception")
CLOCKS = ("single", "i3d", "halving")
# Options of a fresh network, and the architectures that have them.
FRESH = {
    "width": ARCHITECTURES,
    "size": ARCHITECTURES,
    "temporal": ARCHITECTURES,
    "skips": ARCHITECTURES,
    "classes": ("par_inception",),
    "clocks": ("par_inception",),
    "feedback": ("par_densenet",),
}


@dataclass(frozen=True)
class Choice:
    """A network ready to compile.

    Attributes:
        graph: as wired by the arguments.
        weights: float32 arrays by name.
        metadata: free text of the model file.
        label: the name or path it was asked for by.
        random: the weights are random: speeds are right, what it says about a video is not.
    """

    graph: Graph
    weights: dict[str, NDArray[np.float32]]
    metadata: dict[str, str]
    label: str
    random: bool

    @property
    def title(self) -> str:
        """Label for people, which never hides that the weights are random."""
        return f"{self.label} (random weights)" if self.random else self.label


def add_network_arguments(
    parser: argparse.ArgumentParser,
    *,
    default: str | None = "par_densenet",
    positional: bool = False,
    wiring: bool = True,
) -> None:
    """Arguments that choose a network; a `positional` model, or default None, must be given."""
    group = parser.add_argument_group("network")
    text = "model file, built-in model, or par_densenet / par_inception with random weights"
    if positional:
        group.add_argument("model", metavar="PATH|NAME", help=text)
    else:
        shown = f"{text} (default {default})" if default else text
        required = default is None
        group.add_argument(
            "--model", metavar="PATH|NAME", default=default, required=required, help=shown
        )
    if wiring:
        group.add_argument(
            "--stages", type=positive, metavar="K", help="cut into K stages (default: as it is)"
        )
        group.add_argument(
            "--wiring",
            choices=WIRINGS,
            help="default: as it is; pipelined where --stages is given alone",
        )
    fresh = parser.add_argument_group("fresh network (par_densenet, par_inception)")
    fresh.add_argument("--width", type=fraction, help="factor on all channel counts (default 1)")
    fresh.add_argument("--size", type=positive, help="input height and width, pixels (default 224)")
    fresh.add_argument("--temporal", type=int, choices=(1, 3), help="size of the kernels in time")
    fresh.add_argument("--skips", choices=("none", "head", "all"), help="fresh temporal skips")
    fresh.add_argument("--classes", type=positive, help="par_inception: number of actions")
    fresh.add_argument("--clocks", choices=CLOCKS, help="par_inception: rates of the layers")
    fresh.add_argument(
        "--feedback",
        type=positive,
        nargs="?",
        const=1,
        metavar="TICKS",
        help="par_densenet: feed the heatmaps back, TICKS old (default 1)",
    )
    fresh.add_argument("--seed", type=natural, default=0, help="of the random weights")


def add_compile_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how a plan is compiled."""
    group = parser.add_argument_group("execution")
    group.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    group.add_argument("--lanes", type=positive, metavar="N", help="CPU lanes (default: all CPUs)")


def choose(args: argparse.Namespace) -> Choice:
    """Find the network the arguments name and wire it as they say.

    Raises:
        UsageError: if arguments of a fresh network are given for another one.
        FileError: if there is no such file or name, or the file is damaged.
    """
    name = str(args.model)
    return _fresh(name, args) if name in ARCHITECTURES else _stored(name, args)


def rewire(graph: Graph, wiring: str | None, stages: int | None) -> Graph:
    """Other timing for the same nodes; None keeps what the graph has."""
    if wiring is None and stages is None:
        return graph
    k = stages or graph.n_stages
    cut = graph.stage_lists if k == graph.n_stages else k
    return graph.wire(wiring or _default_wiring(k), stages=cut)


def compile_plan(
    choice: Choice, args: argparse.Namespace, *, graph: Graph | None = None, **options: Any
) -> runtime.Plan:
    """Compile the chosen network, or the same weights with another graph."""
    keywords = {"backend": args.backend, "lanes": args.lanes, **options}
    return runtime.compile((graph or choice.graph, choice.weights), **keywords)


def _default_wiring(stages: int) -> str:
    return "pipelined" if stages > 1 else "sequential"


def _fresh(name: str, args: argparse.Namespace) -> Choice:
    from pvnet import models

    options = {key: getattr(args, key) for key in FRESH if getattr(args, key) is not None}
    foreign = [key for key in options if key in FRESH and name not in FRESH[key]]
    if foreign:
        raise UsageError(f"{_flags(foreign)}: not an option of {name}")
    stages = getattr(args, "stages", None) or 1
    wiring = getattr(args, "wiring", None) or _default_wiring(stages)
    graph = models.build(name, stages=stages, wiring=wiring, **options)
    metadata = {
        "model": name,
        "task": models.TASKS[name],
        "weights": f"random, seed {args.seed}",
    }
    return Choice(graph, random_weights(graph, seed=args.seed), metadata, name, random=True)


def _stored(name: str, args: argparse.Namespace) -> Choice:
    given = [key for key in FRESH if getattr(args, key) is not None]
    if given:
        raise UsageError(f"{_flags(given)}: only with a fresh {' or '.join(ARCHITECTURES)}")
    model = runtime.load(find_model(name))
    graph = rewire(model.graph, getattr(args, "wiring", None), getattr(args, "stages", None))
    random = model.metadata.get("weights", "").startswith("random")
    return Choice(graph, model.weights, model.metadata, name, random)


def _flags(keys: list[str]) -> str:
    return ", ".join(f"--{key}" for key in keys)


def find_model(name: str) -> Path:
    """Path of a model file, or of a built-in model by its name.

    Raises:
        FileError: if it is neither.
    """
    from pvnet import models

    path = Path(name)
    if path.exists():
        return path
    built_in = models.list_pretrained()
    if name in built_in:
        return models.pretrained(name)
    raise FileError(
        f"[cli] there is no such model: got {name!r}, expected a file, a built-in model "
        f"({', '.join(built_in) or 'none in this build'}) or one of "
        f"{', '.join(ARCHITECTURES)}. Check the path, or write a model with `pvnet export`."
    )
