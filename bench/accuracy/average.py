"""Weight averaging of several trainings that began at the same network.

    python bench/accuracy/average.py A.safetensors B.safetensors ... --out AVERAGE.safetensors

Trainings that start from one network and differ in their clips or length end near each other: the
mean of their weights is a network as well, often a better one than any of them ("model soups",
Wortsman et al., ICML 2022). Graph and metadata are the first file's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pvnet import save
from pvnet.runtime import Model
from pvnet.train.build import model_file


def average_weights(models: list[Model]) -> Model:
    """The mean of the weights, with the graph of the first."""
    first = models[0]
    mean = {
        name: np.mean([np.asarray(m.weights[name], np.float64) for m in models], axis=0)
        for name in first.weights
    }
    weights = {name: value.astype(np.float32) for name, value in mean.items()}
    return Model(first.graph, weights, first.metadata)


def main() -> None:
    """Read, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="model files or shipped models")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    models = [model_file(name) for name in args.models]
    for name, model in zip(args.models, models):
        if model.graph.expected_weights() != models[0].graph.expected_weights():
            parser.error(f"{name}: got another network than {args.models[0]}, expected the same")
    save(average_weights(models), args.out)
    print(f"mean of {len(models)} in {args.out}")


if __name__ == "__main__":
    main()
