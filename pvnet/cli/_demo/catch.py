"""`pvnet demo catch`: the same network in four ways plays the same throws."""

from __future__ import annotations

import argparse
import statistics
from typing import Any, Literal

import numpy as np

from pvnet import catch, runtime
from pvnet.catch import engine as engines
from pvnet.catch.score import difference, rate
from pvnet.catch.times import tick_times, time_beside_others
from pvnet.cli._common.parse import fraction, positive
from pvnet.cli._common.progress import Progress
from pvnet.cli._common.report import Report, UsageError
from pvnet.cli._demo.catch_picture import CatchPicture
from pvnet.cli._demo.files import write_pictures
from pvnet.cli._demo.lanes import measure_operations, schedule_of
from pvnet.files import write_json
from pvnet.report import plain, table
from pvnet.runtime.machine import cpus_allowed

# In pixels that a ball falls while one tick of the sequential network lasts.
SPEEDS = (0.5, 1.0, 2.0, 3.0, 4.0)
_THROWS = 100
_TIMED_TICKS = 150
_STEPS = 100
_FPS = 25.0
_FRAME = np.zeros((1, catch.HEIGHT, catch.WIDTH, 3), np.uint8)

Games = dict[float, list[catch.Game]]  # by speed
Wiring = Literal["sequential", "pipelined", "predictive"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pvnet demo catch` alone."""
    group = parser.add_argument_group("catch", "a paddle that sees by the network")
    group.add_argument("--throws", type=positive, metavar="N", help=f"default {_THROWS}")
    group.add_argument(
        "--speed",
        type=fraction,
        action="append",
        metavar="PX",
        help="pixels that a ball falls per tick of the sequential network; may be given again "
        f"(default {', '.join(f'{s:g}' for s in SPEEDS)})",
    )
    group.add_argument(
        "--aim",
        choices=("follow", "extrapolate"),
        help="send the paddle to the newest answer (default), or along a line through the last",
    )
    world = group.add_mutually_exclusive_group()
    world.add_argument("--frozen", action="store_true", help="control: the world waits for answers")
    world.add_argument(
        "--real-time",
        action="store_true",
        help="the clock on the wall moves the world, one way after the other has the lanes "
        "(default: the clock of ticks that were measured before)",
    )


def refuse_foreign(args: argparse.Namespace) -> None:
    """Options of the game without the game, or of the rest of the demo with it.

    Raises:
        UsageError: naming them.
    """
    ours = {"--throws": args.throws, "--speed": args.speed, "--aim": args.aim}
    theirs = {"--compare": args.compare, "--model": args.model, "--stages": args.stages}
    theirs |= {"--fps": args.fps}
    wrong = [name for name, value in ours.items() if value is not None]
    wrong += ["--frozen"] if args.frozen else []
    wrong += ["--real-time"] if args.real_time else []
    if args.what != "catch" and wrong:
        raise UsageError(f"{', '.join(wrong)}: only with `pvnet demo catch`")
    wrong = [name for name, value in theirs.items() if value is not None]
    if args.what == "catch" and wrong:
        raise UsageError(f"{', '.join(wrong)}: not with `pvnet demo catch`, which has its own")
    if args.real_time and args.lanes_simulated is not None:
        raise UsageError("--lanes-simulated: not with --real-time, whose lanes must be there")


def run(args: argparse.Namespace) -> Report:
    """Time the four ways, let each play all throws at all speeds, write table and video."""
    lanes = args.lanes_simulated or args.lanes or cpus_allowed()
    throws = catch.Throws(args.seed, args.throws or _THROWS)
    games = _played_live(args, lanes, throws) if args.real_time else _played(args, lanes, throws)
    document = _document(args, lanes, games)
    if not args.no_files:
        args.out.mkdir(parents=True, exist_ok=True)
        if not args.frozen:
            document["files"]["video"] = _video(args, throws, _most_telling(games))
        write_json(args.out / "catch.json", plain(document), where="demo")
    return Report(document, _text(document))


def _played(args: argparse.Namespace, lanes: int, throws: catch.Throws) -> Games:
    """On the clock of ticks that were measured before."""
    ways = _engines(args, lanes, len(throws))
    unit_ms = ways[0].period_ms
    speeds = args.speed or SPEEDS
    with Progress("catch", total=_STEPS * len(ways) * len(speeds), quiet=args.quiet) as bar:
        return {
            speed: [_play(args, throws, way, speed / unit_ms, bar) for way in ways]
            for speed in speeds
        }


def _played_live(args: argparse.Namespace, lanes: int, throws: catch.Throws) -> Games:
    """On the wall's clock; speeds are of ticks that were measured before all the same."""
    exact, late, fresh = _compiled(args, lanes)
    alone = _compiled(args, 1)[0]
    (unit_ms,) = tick_times([exact], _FRAME, _TIMED_TICKS)
    ways = [
        catch.Way("frame by frame", exact),
        catch.Way("round-robin", alone, workers=lanes),
        catch.Way("pipelined", late, late=late.graph.n_stages - 1),
        catch.Way("predictive", fresh),
    ]
    speeds = args.speed or SPEEDS
    settings: dict[str, Any] = {"policy": args.aim or "follow", "seed": args.seed}
    with Progress("catch", total=len(throws) * len(ways) * len(speeds), quiet=args.quiet) as bar:
        return {
            speed: catch.play_live(
                throws, ways, speed=speed / unit_ms, progress=bar.step, **settings
            )
            for speed in speeds
        }


def _compiled(args: argparse.Namespace, lanes: int, batch: int = 1) -> list[runtime.Plan]:
    """The sequential network, the pipelined one and the predictive one."""
    options: dict[str, Any] = {"lanes": lanes, "batch": batch, "backend": args.backend}
    names: tuple[Wiring, ...] = ("sequential", "pipelined", "predictive")
    return [runtime.compile(catch.network(name), **options) for name in names]


def _engines(args: argparse.Namespace, lanes: int, throws: int) -> list[catch.Engine]:
    """The four ways, with times of one video and plans for all throws."""
    if args.lanes_simulated is None:
        times_ms = tick_times(_compiled(args, lanes), _FRAME, _TIMED_TICKS)
        lane_ms = time_beside_others(_compiled(args, 1)[0], _FRAME, lanes, _TIMED_TICKS)
    else:
        alone = _compiled(args, 1)
        times = measure_operations(alone, [_FRAME])
        schedules = [schedule_of(plan) for plan in _compiled(args, lanes)]
        times_ms = [float(t.tick_ms(s).mean()) for t, s in zip(times, schedules)]
        lane_ms = float(times[0].tick_ms(schedule_of(alone[0])).mean())
    exact, late, fresh = _compiled(args, cpus_allowed(), throws)
    return [
        engines.frame_by_frame(exact, times_ms[0]),
        engines.round_robin(exact, lane_ms, lanes),
        engines.pipelined(late, times_ms[1]),
        engines.predictive(fresh, times_ms[2]),
    ]


def _play(
    args: argparse.Namespace, throws: catch.Throws, way: catch.Engine, speed: float, bar: Progress
) -> catch.Game:
    done = 0

    def progress(share: float) -> None:
        nonlocal done
        while done < int(share * _STEPS):
            bar.step()
            done += 1

    if args.frozen:
        step_ms = 1.0 / speed  # a pixel of falling between answers
        game = catch.play_frozen(throws, way, speed=speed, step_ms=step_ms, seed=args.seed)
    else:
        game = catch.play(
            throws, way, speed=speed, policy=args.aim or "follow", seed=args.seed, progress=progress
        )
    progress(1.0)
    return game


def _document(args: argparse.Namespace, lanes: int, games: Games) -> dict[str, Any]:
    rows = []
    for index in range(len(next(iter(games.values())))):
        ways = [played[index].engine for played in games.values()]
        scores = []
        for speed, played in games.items():
            ours, mine = played[-1].caught, played[index].caught
            scores.append(
                {
                    "speed_px_per_tick": speed,
                    "speed_px_per_ms": played[index].speed,
                    **rate(mine),
                    "error_px": played[index].error_px,
                    "predictive_minus_this": difference(ours, mine),
                }
            )
        rows.append(
            {
                "title": ways[0].name,
                "stages": ways[0].plan.graph.n_stages,
                "period_ms": statistics.median(e.period_ms for e in ways),
                "delay_ms": statistics.median(e.delay_ms for e in ways),
                "scores": scores,
            }
        )
    return {
        "throws": args.throws or _THROWS,
        "seed": args.seed,
        "lanes": lanes,
        "lanes_simulated": args.lanes_simulated is not None,
        "aim": args.aim or "follow",
        "frozen": args.frozen,
        "real_time": args.real_time,
        "rows": rows,
        "files": {},
    }


def _most_telling(games: Games) -> list[catch.Game]:
    """The speed at which the rows lie furthest apart."""

    def spread(played: list[catch.Game]) -> float:
        rates = [float(game.caught.mean()) for game in played]
        return max(rates) - min(rates)

    return max(games.values(), key=spread)


def _video(args: argparse.Namespace, throws: catch.Throws, games: list[catch.Game]) -> str:
    picture = CatchPicture(throws, games)
    path = args.out / "catch.mp4"
    return str(write_pictures(path, _FPS, picture.draw, picture.n, quiet=args.quiet))


def _text(d: dict[str, Any]) -> str:
    first = d["rows"][0]["scores"]
    speeds = [f"{s['speed_px_per_tick']:g} px" for s in first]
    header = ("row", "stages", "a frame every, ms", "answer delayed by, ms", *speeds)
    rows: list[tuple[object, ...]] = []
    for row in d["rows"]:
        rates = [f"{s['rate']:.3f}" for s in row["scores"]]
        rows.append((row["title"], row["stages"], row["period_ms"], row["delay_ms"], *rates))
    lines = [
        f"{d['throws']} throws, {d['lanes']} {'SIMULATED ' * d['lanes_simulated']}lanes, "
        f"aim: {d['aim']}"
        + (", the world waits for every answer (control)" if d["frozen"] else "")
        + (", real time" if d["real_time"] else ""),
        "",
        table(header, rows),
        "",
        "share of throws caught, by pixels of falling per tick of the sequential network",
    ]
    for row in d["rows"][:-1]:
        gains = [
            "{difference:+.3f} ({low:+.3f} to {high:+.3f})".format(**s["predictive_minus_this"])
            for s in row["scores"]
        ]
        lines.append(f"predictive - {row['title']}: {', '.join(gains)}")
    lines += [f"wrote {path}" for path in d["files"].values()]
    return "\n".join(lines)
