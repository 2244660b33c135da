"""Which arrays are the coordinates of others (CF conventions, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.model import Array, Group
from refmaker.model.attributes import words

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["coordinates_of", "found_above"]


def found_above(nodes: dict[str, Array | Group], home: str, name: str) -> str | None:
    """Return the path of an array that a name in a group means: there, or in a group above."""
    while True:
        path = f"{home}/{name}" if home else name
        if isinstance(nodes.get(path), Array):
            return path
        if not home:
            return None
        home = home.rpartition("/")[0]


def coordinates_of(nodes: dict[str, Array | Group], path: str, array: Array) -> Iterator[str]:
    """Yield the paths of an array's coordinates: of its dimensions, then those that it names."""
    home = path.rpartition("/")[0]
    seen = {path}
    for name in (*(array.dimension_names or ()), *words(array.attributes.get("coordinates"))):
        at = found_above(nodes, home, name) if name else None
        if at is not None and at not in seen:
            seen.add(at)
            yield at
