"""What pip installs: the distribution's name, its extras, and who else installs a `pvnet`."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from pvnet.errors import MissingPackageError, MixedInstallError, UnsupportedError

# On PyPI, `pvnet` is another project, which installs a package `pvnet` too.
NAME = "pvnet-video"
# Module of an optional package -> extra that brings it.
EXTRAS = {
    "av": "video",
    "filelock": "video",
    "matplotlib": "viz",
    "pyarrow": "parquet",
    "ray": "ray",
    "rerun": "rerun",
    "safetensors": "train",
    "supervision": "supervision",
    "tensorboard": "train",
    "torch": "torch",
}
# Modules that only the other project has.
_FOREIGN = ("datamodule.py", "load_model.py", "optimizers.py")


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f'pip install "{NAME}[{extra}]"'


def missing(error: ImportError, where: str) -> MissingPackageError:
    """The error that names the cure, for a package that cannot be imported.

    Args:
        error: what the import raised.
        where: what needs the package.
    """
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    cure = f"Run {install(extra)}." if extra else f"Install the package {package}."
    return MissingPackageError(
        f"[{where}] a package is missing: got {error}, expected the package {package}. {cure}",
        name=package,
    )


def load(module: str, where: str) -> ModuleType:
    """Imports a module.

    Raises:
        MissingPackageError: a package is missing, this module's or one that it imports.
    """
    try:
        return importlib.import_module(module)
    except MissingPackageError:
        raise
    except ModuleNotFoundError as error:
        raise missing(error, where) from error


def get_include() -> str:
    """The folder to put on a compiler's include path, for `#include <pvnet/pvnet.h>`.

    Raises:
        UnsupportedError: this build has no libpvnet.
    """
    return _embedded("include", "pvnet/pvnet.h")


def get_cmake_dir() -> str:
    """The folder of `pvnetConfig.cmake`, for `find_package(pvnet)`: pass it as `pvnet_DIR`.

    Raises:
        UnsupportedError: this build has no libpvnet.
    """
    return _embedded("lib/cmake/pvnet", "pvnetConfig.cmake")


def _embedded(folder: str, file: str) -> str:
    """A folder of the package; an editable install has it elsewhere than the Python files."""
    package = sys.modules["pvnet"].__path__
    for path in (os.path.join(part, *folder.split("/")) for part in package):
        if os.path.exists(os.path.join(path, file)):
            return path
    raise UnsupportedError(
        f"[pvnet] this build has no libpvnet: got no {folder}/{file} in {list(package)}, expected "
        f"it. Run pip install --force-reinstall {NAME}, or build with PVNET_SHARED=ON."
    )


def refuse_other(package: str, path: list[str] | None = None) -> None:
    """Refuses to run where the other project's files lie among ours.

    Costs a listing of the folders of installed packages, and no import: `importlib.metadata` takes
    longer than all of `import pvnet` (and pathlib as long).

    Args:
        package: the folder of this package.
        path: folders that Python imports from; None: `sys.path`.

    Raises:
        MixedInstallError: the other project is installed into this package's folder, or beside it.
    """
    mixed = [name for name in _FOREIGN if os.path.exists(os.path.join(package, name))]
    if mixed:
        raise MixedInstallError(_refusal(f"its {mixed[0]} in {package}"))
    site = os.path.dirname(package)
    if other := _foreign_metadata(site):
        raise MixedInstallError(_refusal(f"{other} in {site}"))
    for folder in sys.path if path is None else path:
        if folder != site and folder.endswith("-packages") and (other := _foreign_metadata(folder)):
            import warnings

            warnings.warn(
                f"[pvnet] another project installs a package pvnet, too: got {other} in {folder}, "
                f"expected {NAME} alone. The one that sys.path has first is imported, here "
                f"{package}. Use an environment for each.",
                RuntimeWarning,
                stacklevel=2,
            )


def _refusal(found: str) -> str:
    return (
        f"[pvnet] another project's package pvnet is mixed with this one: got {found}, expected "
        f"{NAME} alone. Run pip uninstall pvnet, then pip install --force-reinstall {NAME}."
    )


def _foreign_metadata(folder: str) -> str | None:
    """The other project's metadata in a folder of packages; not that of ours under an old name."""
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    for name in names:
        if name[:6].lower() == "pvnet-" and name.endswith(".dist-info"):
            try:
                with open(os.path.join(folder, name, "METADATA"), encoding="utf-8") as file:
                    ours = "Summary: Depth-parallel networks" in file.read(4000)
            except OSError:
                ours = False  # being removed
            if not ours:
                return name
    return None
