"""What the dimensions of an array are: rows, columns, levels, times, channels; and their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refmaker.model import Array, Group
from refmaker.model.attributes import text_of
from refmaker.model.roles import role_of, side_of
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SHORT", "Axis", "Surroundings"]

SHORT = {
    **dict.fromkeys(("metre", "meter", "meters", "metres", "m"), "m"),
    **dict.fromkeys(("micrometer", "micron", "um", "µm", "\u03bcm"), "µm"),
    **dict.fromkeys(("nanometer", "nm"), "nm"),
    **dict.fromkeys(("millimeter", "mm"), "mm"),
}
"""Units of length, and how they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One dimension of an array.

    Parameters
    ----------
    name : str
        Its name; ``dimension 0`` and so on where it has none.
    size : int
        Elements along it.
    role : str
        ``x``, ``y``, ``z``, ``time``, ``channel``, or empty.
    coordinate : str
        Path of the array that holds its places; empty if there is none.
    units : str
        Of these places.
    label : str
        What it is called in full.
    """

    name: str
    size: int
    role: str = ""
    coordinate: str = ""
    units: str = ""
    label: str = ""


class Surroundings:
    """Where the arrays of a set find their coordinates: in their group, or in one above it.

    Parameters
    ----------
    root : Group
        The set.
    """

    def __init__(self, root: Group) -> None:
        self.root = root
        self.groups = {path: node for path, node in root.walk() if isinstance(node, Group)}
        self._places = {path: list(_latitudes(group)) for path, group in self.groups.items()}

    def above(self, path: str) -> Iterator[str]:
        """Yield the group that an array is in, and those above it."""
        home = path.rpartition("/")[0]
        yield home
        while home:
            home = home.rpartition("/")[0]
            yield home

    def find(self, path: str, name: str) -> tuple[str, Array] | None:
        """Return path and array of a name, as seen from an array."""
        for home in self.above(path):
            found = self.groups[home].members.get(name)
            if isinstance(found, Array):
                return joined_path(home, name), found
        return None

    def axes(self, path: str, array: Array) -> tuple[Axis, ...]:
        """Return the dimensions of an array."""
        names = array.dimension_names or ("",) * len(array.shape)
        return tuple(
            self._axis(path, name, size, at)
            for at, (name, size) in enumerate(zip(names, array.shape, strict=True))
        )

    def _axis(self, path: str, name: str, size: int, at: int) -> Axis:
        if not name:
            return Axis(name=f"dimension {at}", size=size)
        found = self.find(path, name)
        if found is None or found[1].dimension_names != (name,) or found[1].shape != (size,):
            return Axis(name=name, size=size, role=side_of(name, {}), label=name)
        where, known = found
        attributes = known.attributes
        return Axis(
            name=name,
            size=size,
            role=side_of(name, attributes),
            coordinate=where,
            units=text_of(attributes, "units"),
            label=text_of(attributes, "long_name", "standard_name") or name,
        )

    def latitude_longitude(self, path: str, names: tuple[str, ...]) -> tuple[str, str] | None:
        """Return paths of latitudes and longitudes over these dimensions, if there are such."""
        for home in self.above(path):
            found = {
                kind: joined_path(home, name)
                for kind, name, dims in self._places[home]
                if dims == names
            }
            if len(found) == 2:
                return found["latitude"], found["longitude"]
        return None


def _latitudes(group: Group) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what in a group holds latitudes or longitudes, with the dimensions they are over."""
    for name, array in group.members.items():
        if not isinstance(array, Array) or not array.dimension_names:
            continue
        kind = role_of(array.attributes)
        if kind not in ("latitude", "longitude"):
            continue
        # Bounds and others that are no coordinates have such units, too.
        standard = text_of(array.attributes, "standard_name") == kind
        if standard or side_of(name, {}) == ("x" if kind == "longitude" else "y"):
            yield kind, name, array.dimension_names
