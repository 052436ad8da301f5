"""pvnet and what people would run instead on the same CPU: the same weights, in turns, checked.

    python bench/peers.py --make     # once: the environment of the peers, build/peers-venv
    python bench/peers.py [--networks resnet18 ...] [--engines all] [--rounds 8] [--minutes 10]
    python bench/peers.py --table    # what the records say: ratios, bars, losses

Every engine has a process of its own, and only one is at work. Its outputs are compared with
pvnet's before it is timed; what is wrong is refused. All run in float32, or, with --precision, in
bf16 or int8. A record per network goes to bench/results/<machine>/peers/, peers_bf16/, peers_int8/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from gpu.machine import commit
from gpu.record import write
from peer import files, networks, own, serve, summary, turns, venv

from pvnet.runtime.machine import cpus_allowed, machine_record, peak_gflops

_LENGTHS = {False: (8, 0.5), True: (2, 0.02)}  # rounds, and seconds of a turn; the dry run's

# The peers that have a precision lower than f32.
_LOW = {
    "bf16": ("openvino", "openvino streams"),
    "int8": ("openvino", "openvino streams", "onnxruntime"),
}


@dataclass(frozen=True)
class Settings:
    """How long, where the records go, and further arguments of `pvnet.compile`."""

    rounds: int
    seconds: float
    dry: bool
    out: Path
    precision: str
    compile: dict[str, str]


def measure(name: str, engines: list[str], threads: list[int], settings: Settings) -> None:
    """One network: its folder, its rounds, its record, a table."""
    try:
        net = networks.prepare(name, dry=settings.dry)
    except ImportError as error:
        print(f"{name} left out: {error}", file=sys.stderr)
        return
    begin = time.perf_counter()
    seats = turns.seats(net, engines, threads)
    turns.play(
        net, seats, rounds=settings.rounds, seconds=settings.seconds,
        peak=lambda: peak_gflops()["gflops"], say=lambda text: print(text, file=sys.stderr),
    )  # fmt: skip
    record = {
        "network": name,
        "label": networks.NETWORKS[name].label,
        "gmac": net.gmac,
        "commit": commit(),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "dry": settings.dry,
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "compile": settings.compile,
        "precision": settings.precision,
        "wall_s": time.perf_counter() - begin,
        "peers": venv.versions(),
        "rows": [turns.figures(net, seat) for seat in seats],
        "machine": machine_record(),
    }
    write(settings.out / f"{name}.json", record)
    print(summary.of_network(record), flush=True)


def machine_folder(precision: str) -> Path:
    """bench/results/<machine>/peers, or that of another precision."""
    name = "peers" if precision == "f32" else f"peers_{precision}"
    record = machine_record()
    return venv.ROOT / "bench" / "results" / summary.slug(record["cpu"], record["cpus"]) / name


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; names are looked at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(networks.NETWORKS))
    parser.add_argument(
        "--engines", nargs="+", help="default: those that a bar counts; all: every one"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, cpus_allowed()}))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of a turn")
    parser.add_argument(
        "--compile", nargs="+", default=[], metavar="NAME=VALUE", help="options of pvnet.compile"
    )
    parser.add_argument("--precision", choices=files.PRECISIONS, default="f32")
    parser.add_argument("--out", type=Path, help="folder of the records")
    parser.add_argument("--minutes", type=float, help="after these no further network is begun")
    parser.add_argument("--dry", action="store_true", help="small sizes; its times say nothing")
    parser.add_argument("--make", action="store_true", help="make the peers' environment, and end")
    parser.add_argument("--prepare", action="store_true", help="make the networks' files, and end")
    parser.add_argument("--table", action="store_true", help="show what the records say, and end")
    args = parser.parse_args(argv)
    for name in args.networks:
        if name not in networks.NETWORKS:
            some = ", ".join(networks.NETWORKS)
            parser.error(f"--networks: got {name!r}, expected some of {some}")
    if args.precision != "f32":
        args.engines = args.engines or ["pvnet", "pvnet pipelined", *_LOW[args.precision]]
    quick = [name for name in serve.ENGINES if name not in summary.SLOW]
    args.engines = list(serve.ENGINES) if args.engines == ["all"] else args.engines or quick
    for name in args.engines:
        low = _LOW.get(args.precision)
        if low is not None and name not in low and not name.startswith(("pvnet", "fake")):
            parser.error(f"--engines: got {name!r}, which has no {args.precision}; leave it out")
        if not turns.known(name):
            parser.error(f"--engines: got {name!r}, expected some of {', '.join(serve.ENGINES)}")
    rounds, seconds = _LENGTHS[args.dry]
    args.rounds, args.seconds = args.rounds or rounds, args.seconds or seconds
    args.out = args.out or (files.HOME / "dry" if args.dry else machine_folder(args.precision))
    return args


def main(argv: list[str] | None = None) -> None:
    """Measures, or does one of the steps alone."""
    args = parsed(argv)
    if args.make:
        for line in venv.make():
            print(f"left out: {line}", file=sys.stderr)
        print(", ".join(f"{name} {version}" for name, version in venv.versions().items()))
        return
    if args.table:
        print(summary.table_of(summary.read(args.out)))
        return
    os.environ[files.PRECISION] = args.precision
    if args.prepare:
        for name in args.networks:
            networks.prepare(name, dry=args.dry, again=True)
        return
    options = dict(option.split("=", 1) for option in args.compile)
    os.environ[own.OPTIONS] = json.dumps(options)
    settings = Settings(args.rounds, args.seconds, args.dry, args.out, args.precision, options)
    begin = time.monotonic()
    for number, name in enumerate(args.networks):
        minutes = (time.monotonic() - begin) / 60
        if number and args.minutes is not None and minutes > args.minutes:
            print(f"no time left for {', '.join(args.networks[number:])}", file=sys.stderr)
            break
        measure(name, args.engines, args.threads, settings)


if __name__ == "__main__":
    main()
