"""Settings under the names they had: for one release after 0.2 these work, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pvnet.errors import InvalidArgumentError

# Section, old key, new key.
_RENAMED = (("model", "fresh", "from_scratch"),)


def rename_old_keys(document: Mapping[str, Any], *, tell: bool = True) -> dict[str, Any]:
    """The nested tables with new names.

    Args:
        document: sections of settings; it is not changed.
        tell: warn of every old name. People typed those of a file or an override, but not those
            of a checkpoint.

    Raises:
        InvalidArgumentError: a setting is given under both names.
    """
    renamed = dict(document)
    for section, old, new in _RENAMED:
        table = renamed.get(section)
        if not isinstance(table, Mapping) or old not in table:
            continue
        if new in table:
            raise InvalidArgumentError(
                f"[config] one setting has two names: got {section}.{old} and {section}.{new}, "
                f"expected the latter. Remove {section}.{old}."
            )
        if tell:
            # Not a DeprecationWarning: Python hides those, and people type this one.
            warning = f"[config] {section}.{old} is called {section}.{new} now"
            warnings.warn(warning, FutureWarning, stacklevel=3)
        renamed[section] = {new if key == old else key: value for key, value in table.items()}
    return renamed
