"""Every error pvnet raises; messages read `[where] what is wrong: got X, expected Y. Do Z.`."""

from __future__ import annotations


class PvnetError(Exception):
    """Base of all errors of pvnet."""


class InvalidArgumentError(PvnetError, ValueError):
    """A value outside its range, a wrong dtype, a wrong shape."""


class GraphError(PvnetError, ValueError):
    """The network itself cannot run: a cycle without delay, clocks or shapes that do not fit."""


class FileError(PvnetError, OSError):
    """A file that is missing, damaged, not what it should be, or from a newer version."""


class SourceLostError(FileError):
    """A live source that does not answer, or went away and did not come back."""


class StateError(PvnetError, RuntimeError):
    """Called at the wrong moment: a stream in use, a snapshot of another plan."""


class UnsupportedError(PvnetError, RuntimeError):
    """A capability this build or this machine lacks."""


class InternalError(PvnetError, RuntimeError):
    """A bug in pvnet."""


class OutOfMemoryError(PvnetError, MemoryError):
    """The machine has not the memory that was asked for; what existed before is as it was."""


class MixedInstallError(PvnetError, ImportError):
    """Another project's package `pvnet` is installed into, or beside, this one."""


class MissingPackageError(ModuleNotFoundError, UnsupportedError):
    """An optional package is not installed; the message names the extra that brings it."""
