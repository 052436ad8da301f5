"""`pvnet <command>`: parses, runs the command's module, prints its report, sets the exit code."""

# PYTHON_ARGCOMPLETE_OK
from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from pvnet.cli._common.files import refuse_overwriting
from pvnet.cli._common.report import Report, UsageError
from pvnet.cli._common.signals import Interrupted, as_interrupted, ending_signals
from pvnet.distribution import missing, refuse_other
from pvnet.errors import FileError, MissingPackageError, MixedInstallError, PvnetError
from pvnet.files import reason
from pvnet.report import plain

COMMANDS = {
    "demo": "sequential and depth-parallel side by side on a built-in video",
    "run": "run a network on a video, a camera or the synthetic source",
    "bench": "throughput and computational latency of the wirings over stages and lanes",
    "trace": "what every lane did in every tick, as Chrome/Perfetto JSON",
    "train": "train a network as a TOML file says",
    "distill": "train a depth-parallel student with a sequential teacher",
    "parallelise": "wire, check, measure and distil a network of yours, and compare it",
    "eval": "score a model on held-out clips, tick by tick",
    "label": "joints of people in videos by an off-the-shelf estimator",
    "eval-labels": "score labels of videos against the truth of a data set",
    "calibrate": "find the ranges of a network's values on videos, for int8",
    "import": "turn an ONNX file into a model file",
    "export": "write a model file, or re-wire one",
    "describe": "stages, delays, latencies and timeline of a network",
    "info": "versions, backends, instruction sets",
}
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of every command; their modules are light, heavy imports come on running."""
    parser = argparse.ArgumentParser(
        prog="pvnet",
        description="Depth-parallel networks on live video.",
        epilog="Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted (Ctrl-C), 143 and 129 "
        "ended by SIGTERM and SIGHUP.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        file = "import_" if name == "import" else name.replace("-", "_")  # a word of Python
        module = importlib.import_module(f"pvnet.cli.{file}")
        sub = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(sub)
        sub.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        sub.add_argument("--quiet", action="store_true", help="no progress bar, no notes")
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.set_defaults(run=module.run, written=getattr(module, "written", None))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.

    Returns:
        0 done, 1 failed, 2 bad usage, 128 + n after signal n: 130 SIGINT, 143 SIGTERM, 129 SIGHUP.
    """
    try:
        refuse_other(sys.modules["pvnet"].__path__[0])  # its __init__.py may stand for ours
    except MixedInstallError as error:
        print(f"pvnet: {error}", file=sys.stderr)
        return EXIT_FAILED
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may come next, and waits
        with contextlib.suppress(ImportError):
            importlib.import_module("argcomplete").autocomplete(parser)
    try:
        args, rest = parser.parse_known_args(words)
        # key=value words may stand anywhere, which argparse cannot do behind a subcommand.
        if rest and not (
            hasattr(args, "overrides") and all("=" in w and w[0] != "-" for w in rest)
        ):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if rest:
            args.overrides = [*args.overrides, *rest]
    except SystemExit as end:  # argparse has printed the usage, or the help (code 0)
        code = EXIT_OK if not end.code else EXIT_USAGE
        if code == EXIT_USAGE and as_json:
            _print_json({"error": {"type": "UsageError", "message": "bad usage, see stderr"}})
        return code
    if args.version:
        import pvnet

        print(pvnet.__version__)
        return EXIT_OK
    if args.command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    try:
        with ending_signals():
            return _run(args)
    except KeyboardInterrupt as error:  # a second one, while the first was dealt with
        return as_interrupted(error).exit_code


def _run(args: argparse.Namespace) -> int:
    try:
        refuse_overwriting(args, args.written and args.written(args))
        report: Report = args.run(args)
        _print_report(args, report)
    except BrokenPipeError:  # `pvnet ... | head`: the reader has seen enough
        _give_up_stdout()
        return EXIT_FAILED
    except UsageError as error:
        return _fail(args, error, EXIT_USAGE)
    except KeyboardInterrupt as error:
        return _interrupted(args, as_interrupted(error))
    except ModuleNotFoundError as error:
        named = isinstance(error, MissingPackageError)
        return _fail(args, error if named else missing(error, args.command), EXIT_FAILED)
    except (PvnetError, OSError) as error:
        return _fail(args, error, EXIT_FAILED)
    except Exception as error:
        # No user is meant to see this; who asked for JSON gets JSON all the same.
        args.debug = True
        return _fail(args, error, EXIT_FAILED)
    return report.code


def _print_report(args: argparse.Namespace, report: Report) -> None:
    try:
        if args.json and report.document:  # of several processes only the first has a result
            _print_json(report.document)
        elif not args.json and report.text:
            print(report.text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up_stdout()
        raise FileError(
            f"[{args.command}] the result cannot be written to stdout: got {reason(error)}, "
            "expected a disk with room. Make room, or send it somewhere else."
        ) from error


def _interrupted(args: argparse.Namespace, error: Interrupted) -> int:
    """A command that has no result when it is interrupted."""
    message = f"interrupted by {error.signal_name}"
    print(f"pvnet {args.command}: {message}", file=sys.stderr)
    if args.json:
        _print_error({"error": {"type": "Interrupted", "message": message}, "interrupted": True})
    return error.exit_code


def _give_up_stdout() -> None:
    """What waits in the buffer has nowhere to go; the interpreter must not try at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(document: dict[str, Any]) -> None:
    """As well as stdout takes it: it may be what failed."""
    try:
        _print_json(document)
        sys.stdout.flush()
    except OSError:
        _give_up_stdout()


def _fail(args: argparse.Namespace, error: BaseException, code: int) -> int:
    if args.debug:
        traceback.print_exception(error)
    message = str(error)
    if _is_memory(error):
        message = (
            f"[{args.command}] memory ran out: got {message}, expected it to suffice. Use a "
            "smaller batch, shorter clips or smaller pictures."
        )
    elif not isinstance(error, PvnetError | UsageError | OSError):
        message = (
            f"[{args.command}] this should not happen: got {type(error).__name__}: {error}, "
            "expected a result or a clear error. Please report it with the trace above."
        )
    if isinstance(error, OSError) and not isinstance(error, PvnetError):
        message = (
            f"[{args.command}] a file cannot be read or written: got {message}, expected a path "
            "that exists and may be used. Check the path."
        )
    print(f"pvnet {args.command}: {message}", file=sys.stderr)
    if args.json:
        _print_error({"error": {"type": type(error).__name__, "message": message}})
    return code


def _is_memory(error: BaseException) -> bool:
    """Python's, CUDA's and the CPU allocator's way of saying so."""
    kind = type(error).__name__
    return kind in ("MemoryError", "OutOfMemoryError") or "allocate memory" in str(error)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(plain(document), indent=2, allow_nan=False))


if __name__ == "__main__":
    sys.exit(main())
