"""Which network a command works on: a model file, shipped weights, or a random network by name."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvnet import runtime
from pvnet.cli._common.cut import Cut, add_cut_argument, cut_of
from pvnet.cli._common.parse import fraction, natural, positive
from pvnet.cli._common.report import UsageError
from pvnet.errors import FileError, InvalidArgumentError
from pvnet.graph import Graph
from pvnet.models.random_weights import random_weights
from pvnet.video.mapping import Fit

WIRINGS = ("sequential", "pipelined", "predictive")
ARCHITECTURES = ("par_densenet", "par_inception")
CLOCKS = ("single", "i3d", "halving")
WEIGHTS = ("trained", "random")
# What `run` takes where nothing is asked for, and where random weights are.
JOINTS_OF_PEOPLE, USUAL = "movenet", "par_densenet"
# Options of a network with random weights, and the architectures that have them.
RANDOM_OPTIONS = {
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
        timing: how it was cut, and whether the weights were trained for it; None: as in the file.
    """

    graph: Graph
    weights: dict[str, NDArray[np.float32]]
    metadata: dict[str, str]
    label: str
    random: bool
    timing: Cut | None = None

    @property
    def cut(self) -> Cut:
        """How it was cut, and whether the weights were trained for it."""
        return self.timing or Cut(self.graph)

    @property
    def model(self) -> runtime.Model:
        """Graph, weights and metadata as one."""
        return runtime.Model(self.graph, self.weights, self.metadata)

    @property
    def fit(self) -> Fit:
        """How pictures were made fit for the network when it was trained."""
        return "letterbox" if self.metadata.get("fit") == "letterbox" else "stretch"

    @property
    def adapted(self) -> bool:
        """The weights were trained for this wiring, or it needs no training."""
        return self.cut.trained is not False

    @property
    def name(self) -> str:
        """Label beside words for the wiring: shipped weights serve others than their file names."""
        if self.metadata.get("pretrained") != self.label:
            return Path(self.label).stem
        family, _, tail = self.label.rpartition("_")
        return family if tail.rstrip("0123456789") in WIRINGS else self.label

    @property
    def title(self) -> str:
        """Label for people, which never hides that the weights are random."""
        return f"{self.label} ({self.weights_words})"

    @property
    def weights_words(self) -> str:
        """Which weights these are."""
        if self.random:
            return "random weights"
        trained_on = self.metadata.get("trained_on")
        words = f"trained on {trained_on}" if trained_on else "weights of the file"
        return words if self.adapted else f"{words}, not trained for this wiring"


def add_network_arguments(
    parser: argparse.ArgumentParser,
    *,
    default: str | None = USUAL,
    positional: bool = False,
    wiring: bool = True,
    weights: str = "random",
) -> None:
    """Arguments that choose a network; a `positional` model, or default None, must be given.

    `weights` says what par_densenet and par_inception mean here where nothing else does: "trained"
    (the shipped ones) or "random" (random weights, full size).
    """
    group = parser.add_argument_group("network")
    text = "model file, shipped model, or par_densenet / par_inception (see --weights)"
    parser.set_defaults(usual_weights=weights)
    if positional:
        group.add_argument("model", metavar="PATH|NAME", help=text)
    else:
        shown = f"{text} (default {default})" if default else text
        required = default is None
        group.add_argument(
            "--model", metavar="PATH|NAME", default=default, required=required, help=shown
        )
    group.add_argument(
        "--weights",
        choices=WEIGHTS,
        help="of par_densenet / par_inception: shipped ones, or random ones "
        f"(default {weights}; random with an option of such a network)",
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
        add_cut_argument(group)
    drawn = parser.add_argument_group("network with random weights (par_densenet, par_inception)")
    drawn.add_argument("--width", type=fraction, help="factor on all channel counts (default 1)")
    drawn.add_argument("--size", type=positive, help="input height and width, pixels (default 224)")
    drawn.add_argument("--temporal", type=int, choices=(1, 3), help="size of the kernels in time")
    drawn.add_argument("--skips", choices=("none", "head", "all"), help="temporal skips")
    drawn.add_argument("--classes", type=positive, help="par_inception: number of actions")
    drawn.add_argument("--clocks", choices=CLOCKS, help="par_inception: rates of the layers")
    drawn.add_argument(
        "--feedback",
        type=positive,
        nargs="?",
        const=1,
        metavar="TICKS",
        help="par_densenet: feed the heatmaps back, TICKS old (default 1)",
    )
    drawn.add_argument("--seed", type=natural, help="of the random weights (default 0)")


def add_dtype_argument(group: argparse._ActionsContainer) -> None:
    """How maps and weights are stored."""
    group.add_argument(
        "--dtype",
        choices=("f32", "bf16", "int8", "tf32", "f16"),
        default="f32",
        help="of what is stored (default f32); int8 of a model with ranges (pvnet calibrate); tf32 "
        "and f16 with --backend cuda",
    )


def add_compile_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how a plan is compiled."""
    group = parser.add_argument_group("execution")
    group.add_argument("--backend", choices=("auto", "ref", "cpu", "cuda"), default="auto")
    add_dtype_argument(group)
    group.add_argument("--lanes", type=positive, metavar="N", help="CPU lanes (default: all CPUs)")
    group.add_argument(
        "--tune",
        choices=("off", "fast", "full"),
        default="off",
        help="measure on this machine what is the quickest, once; pvnet info --tuning tells",
    )


def choose(args: argparse.Namespace) -> Choice:
    """Find the network the arguments name and wire it as they say; says on stderr how it was cut.

    Raises:
        UsageError: if arguments of a random network are given for another one.
        FileError: if there is no such file or name, the file is damaged, or nothing is shipped for
            this wiring and number of stages.
    """
    choice = _choose(args)
    choice.cut.tell(args)
    return choice


def _choose(args: argparse.Namespace) -> Choice:
    rule = getattr(args, "cut", "preset")
    wiring, stages = getattr(args, "wiring", None), getattr(args, "stages", None)
    given = [key for key in (*RANDOM_OPTIONS, "seed") if getattr(args, key) is not None]
    if args.model == JOINTS_OF_PEOPLE and (given or args.weights == "random"):
        args.model = USUAL  # the one of all networks for joints that has random weights
    name = str(args.model)
    if name == JOINTS_OF_PEOPLE and wiring is None and stages is None:
        wiring, stages = "predictive", 4  # as good as in one stage, nearly
    if name in ARCHITECTURES:
        kind = args.weights or ("random" if given else args.usual_weights)
        if kind == "random":
            return _random(name, args)
        if given:
            raise UsageError(f"{_flags(given)}: only with --weights random")
        return load_trained(name, wiring, stages, rule)
    if given or args.weights == "random":
        wrong = _flags(given) or "--weights random"
        raise UsageError(f"{wrong}: only with random weights of {' or '.join(ARCHITECTURES)}")
    return _stored(name, wiring, stages, rule)


def load_trained(name: str, wiring: str | None, stages: int | None, rule: str = "preset") -> Choice:
    """Shipped weights of a model, by the name of its family.

    Args:
        name: as `pvnet.models.pretrained` takes it.
        wiring: None: pipelined where `stages` is given, else predictive where weights are shipped
            for it, else sequential.
        stages: None: as shipped.
        rule: where other stages are cut, as `pvnet.models.rewired` takes it.

    Raises:
        FileError: if nothing is shipped for these settings.
    """
    from pvnet import models

    wanted: Any = wiring or (None if stages is None else _default_wiring(stages))
    try:
        if wanted is None:
            model, wanted = _predictive_or_sequential(name)
        else:
            model, wanted = models.chosen(name, wanted, stages)
        cut = cut_of(model, wanted, stages, rule)
    except InvalidArgumentError as error:
        raise FileError(
            f"{error} On the command line: --weights random runs a network with random weights of "
            f"{' or '.join(ARCHITECTURES)}."
        ) from error
    label = model.metadata["pretrained"]
    return Choice(cut.graph, model.weights, model.metadata, label, random=False, timing=cut)


def _predictive_or_sequential(name: str) -> tuple[runtime.Model, Any]:
    from pvnet import models

    try:
        return models.chosen(name, "predictive")
    except InvalidArgumentError:
        return models.chosen(name, "sequential")


def compile_plan(
    choice: Choice, args: argparse.Namespace, *, graph: Graph | None = None, **options: Any
) -> runtime.Plan:
    """Compile the chosen network, or the same weights with another graph."""
    dtype = getattr(args, "dtype", "f32")
    keywords = {"backend": args.backend, "dtype": dtype, "lanes": args.lanes, **options}
    keywords.setdefault("tune", getattr(args, "tune", "off"))
    model = runtime.Model(graph or choice.graph, choice.weights, choice.metadata)
    return runtime.compile(model, **keywords)


def _default_wiring(stages: int) -> str:
    return "pipelined" if stages > 1 else "sequential"


def _random(name: str, args: argparse.Namespace) -> Choice:
    from pvnet import models

    options = {key: getattr(args, key) for key in RANDOM_OPTIONS if getattr(args, key) is not None}
    foreign = [key for key in options if name not in RANDOM_OPTIONS[key]]
    if foreign:
        raise UsageError(f"{_flags(foreign)}: not an option of {name}")
    stages = getattr(args, "stages", None) or 1
    wiring = getattr(args, "wiring", None) or _default_wiring(stages)
    seed = args.seed or 0
    told = {key: value for key, value in options.items() if key != "skips"}
    metadata = models.model_metadata(name, models.TASKS[name], options)
    metadata["weights"] = f"random, seed {seed}"
    # Skips lie between stages: the cut comes first.
    plain = runtime.Model(models.build(name, **told), {}, metadata)
    cut = cut_of(plain, wiring, stages, getattr(args, "cut", "preset"))
    graph = models.build(name, stages=cut.graph.stage_lists, wiring=wiring, **options)
    how = "one stage" if stages == 1 else cut.how
    weights = random_weights(graph, seed=seed)
    return Choice(graph, weights, metadata, name, True, Cut(graph, how, None))


def _stored(name: str, wiring: str | None, stages: int | None, rule: str) -> Choice:
    from pvnet import models

    if not Path(name).exists() and any(one.family == name for one in models.shipped()):
        return load_trained(name, wiring, stages, rule)
    model = load_model(name)
    random = model.metadata.get("weights", "").startswith("random")
    cut = cut_of(model, wiring, stages, rule)
    return Choice(cut.graph, model.weights, model.metadata, name, random, cut)


def load_model(name: str) -> runtime.Model:
    """A model file, or a shipped one by its name, which then says so ("pretrained").

    Raises:
        FileError: if it is neither, or damaged.
    """
    path = find_model(name)
    model = runtime.load(path)
    if not Path(name).exists():
        model.metadata["pretrained"] = path.stem
    return model


def _flags(keys: list[str]) -> str:
    return ", ".join(f"--{key}" for key in keys)


def find_model(name: str) -> Path:
    """Path of a model file, or of a shipped one by its name.

    Raises:
        FileError: if it is neither.
    """
    from pvnet import models

    path = Path(name)
    if path.exists():
        return path
    built_in = models.list_pretrained()
    if name in built_in:
        return models.pretrained_path(name)
    raise FileError(
        f"[cli] there is no such model: got {name!r}, expected a file, a shipped model "
        f"({', '.join(built_in) or 'none in this build'}) or one of "
        f"{', '.join(ARCHITECTURES)}. Check the path, or write a model with `pvnet export`."
    )
