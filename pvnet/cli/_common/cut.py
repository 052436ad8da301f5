"""How a network was cut into stages, and whether its weights were trained for that."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pvnet import runtime
from pvnet.cli._common.progress import note
from pvnet.graph import Graph

if TYPE_CHECKING:
    from pvnet.models import Pretrained


@dataclass(frozen=True)
class Cut:
    """The timing of a network, beside that of its file.

    Attributes:
        graph: as it runs.
        how: as `pvnet.models.Rewired` says.
        trained: the weights are right in this timing; None: they are random.
        own: the timing of the file, in words.
        relatives: shipped weights trained for it or, if there are none, for other stages.
    """

    graph: Graph
    how: str = "as in the file"
    trained: bool | None = True
    own: str = ""
    relatives: Sequence[Pretrained] = ()

    @property
    def words(self) -> str:
        """For people: one line."""
        n, graph = self.graph.n_stages, self.graph
        cut = f"cut {self.how}" if self.how.startswith(("as ", "even ")) else f"the {self.how}"
        text = _stages(n) + (f", {cut}" if n > 1 else "")
        if self.trained is not False:
            return text
        text += f"; the weights were trained for {self.own}, not for {graph.wiring}, {_stages(n)}"
        if not self.relatives:
            return text
        fits = any(n in one.good_for for one in self.relatives)
        for_it = fits and graph.wiring == "predictive"
        which = "for it" if for_it else "for another cut"
        return f"{text}. Weights trained {which} are shipped: {', '.join(self.names)}"

    @property
    def names(self) -> list[str]:
        """The relatives in a few words each."""
        return [one.summary for one in self.relatives]

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "stages": self.graph.n_stages,
            "wiring": self.graph.wiring,
            "how": self.how,
            "trained_for_it": self.trained,
            "trained_weights": self.names,
        }

    def tell(self, args: argparse.Namespace) -> None:
        """Says it on stderr where the command line has asked for another timing."""
        asked = getattr(args, "stages", None) is not None or getattr(args, "wiring", None)
        plain = self.how in ("as in the file", "one stage") and self.trained is not False
        if asked and not plain and not args.quiet:
            note(f"{args.command}: {self.words}.")


def cut_of(model: runtime.Model, wiring: str | None, stages: int | None, rule: str) -> Cut:
    """A model in the timing that is asked for, as `pvnet.models.rewired` cuts it."""
    from pvnet import models

    found = models.rewired(model, wiring, stages, cut=rule)
    own = model.graph
    random = model.metadata.get("weights", "").startswith("random")
    if random or found.trained:
        return Cut(found.graph, found.how, None if random else True)
    relatives = models.trained_relatives(model, found.graph.n_stages)
    return Cut(
        found.graph,
        found.how,
        trained=False,
        own=f"{own.wiring}, {_stages(own.n_stages)}",
        relatives=relatives,
    )


def add_cut_argument(group: Any) -> None:
    """`--cut`."""
    group.add_argument(
        "--cut",
        choices=("preset", "even"),
        default="preset",
        help="where --stages cuts: as the model's preset where it has one, or even in cost "
        "(default preset)",
    )


def _stages(n: int) -> str:
    return f"{n} stage{'' if n == 1 else 's'}"
