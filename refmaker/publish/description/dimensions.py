"""Dimensions of a set's groups, and which of them grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model import Array, Group
from refmaker.model.zarr_v2 import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["dimensions"]


def dimensions(nodes: Mapping[str, Array | Group]) -> list[dict[str, Any]]:
    """Return the dimensions that the arrays of each group have; see `refmaker.describe`.

    Whether one grows is known where its group says which do.
    """
    found: dict[tuple[str, str, int], bool | None] = {}
    for path, array in nodes.items():
        if not isinstance(array, Array):
            continue
        home = path.rpartition("/")[0]
        for name, size in zip(array.dimension_names or (), array.shape, strict=False):
            key = (home, name, size)
            if name and key not in found:
                found[key] = _grows(nodes.get(home), name)
    return [
        {"group": home or "/", "name": name, "size": size, "unlimited": grows}
        for (home, name, size), grows in found.items()
    ]


def _grows(group: Array | Group | None, name: str) -> bool | None:
    # A group may have a dimension of its own under the name of one above it.
    told = None if group is None else group.attributes.get(UNLIMITED)
    return name in map(str, told) if isinstance(told, list | tuple) else None
