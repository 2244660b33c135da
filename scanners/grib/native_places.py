"""Whether fields lie where ecCodes' keys say: each field against the coordinates of its place."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["Places", "kind_of"]

_KINDS = (
    "latitude", "longitude", "valid_time", "time", "step", "number", "percentile", "threshold",
    "directionNumber", "frequencyNumber", "direction", "frequency",
)  # fmt: skip


_COEFFICIENTS = ("ap", "b")
"""Coordinates of hybrid levels."""


def kind_of(name: str, units: str) -> str:
    """Return what a coordinate is of: ``"level"`` for all types of level, ``"plane"`` for a map.

    Parameters
    ----------
    name, units : str
        Its name, which may end in a number or in ``_bounds``, and its units.
    """
    for kind in _COEFFICIENTS:
        if name.partition("_")[0] == kind:
            return kind
    for kind in _KINDS:
        if name == kind or name.startswith(f"{kind}_"):
            return kind
    if name.partition("_")[0] in ("x", "y", "crs", "values"):
        return "plane"
    return "time" if units.startswith("seconds since") else "level"


class _CheckedField(NamedTuple):
    """A field that a variable refers to.

    Parameters
    ----------
    where : dict
        Its position along each dimension.
    told : set of str
        Names of the coordinates that its variable has.
    true : mapping
        By kind of coordinate: the values that ecCodes gives.
    """

    where: dict[str, int]
    told: AbstractSet[str]
    true: Mapping[str, AbstractSet[float | None]]


class Places:
    """The fields and coordinates of groups that were met so far, in whichever order.

    Parameters
    ----------
    tell : callable
        From file, offset and length of a chunk to what ecCodes says of its field, by kind of
        coordinate; None where it says nothing.
    """

    def __init__(
        self, tell: Callable[[str, int, int], Mapping[str, AbstractSet[float | None]] | None]
    ) -> None:
        self._tell = tell
        self._fields: dict[str, dict[str, dict[tuple[int, ...], _CheckedField]]] = {}
        self._coordinates: dict[str, dict[str, tuple[Array, NDArray[Any]]]] = defaultdict(dict)

    def variable(self, path: str, array: Array) -> None:
        """Note where all fields of a variable lie."""
        group, _, variable = path.rpartition("/")
        known = self._fields.setdefault(group, {})
        if variable in known:
            return
        names = array.dimension_names or ()
        told = {*str(array.attributes.get("coordinates", "")).split(), *names}
        told |= {f"{name}_bounds" for name in told}
        found = known[variable] = {}
        table = array.chunks
        numbers = np.unravel_index(table.numbers(), table.grid)
        lead = [axis for axis, extent in enumerate(array.chunk_shape) if extent == 1]
        lead = lead[: len(array.shape) - len((array.compressor or {}).get("shape", ()))]
        places = np.stack(numbers, axis=1)[:, lead].tolist()
        files = np.zeros(len(places), np.int64) if table.url is None else table.url
        rows = zip(
            places, files.tolist(), table.offset.tolist(), table.length.tolist(), strict=True
        )
        for place, file, offset, length in rows:
            true = self._tell(table.urls[file], offset, length)
            if true is not None:
                where = {names[axis]: at for axis, at in zip(lead, place, strict=True)}
                found[tuple(place)] = _CheckedField(where, told, true)

    def misplaced(self, path: str, at: tuple[int, ...]) -> str:
        """Return in what coordinate read so far a field lies at the wrong place; empty for none.

        Parameters
        ----------
        path : str
            Path of its variable, which was noted.
        at : tuple of int
            Position along the dimensions before those of the grid.
        """
        group, _, variable = path.rpartition("/")
        field = self._fields[group][variable].get(at)
        if field is None:
            return ""
        for name, (coordinate, values) in self._coordinates[group].items():
            if not _holds(field, name, coordinate, values):
                return name
        return ""

    def coordinate(self, path: str, array: Array, values: NDArray[Any]) -> bool:
        """Note a coordinate; return whether all fields of variables so far lie where it says."""
        group, _, name = path.rpartition("/")
        self._coordinates[group][name] = array, values
        return all(
            _holds(field, name, array, values)
            for fields in self._fields.get(group, {}).values()
            for field in fields.values()
        )


def _holds(field: _CheckedField, name: str, array: Array, values: NDArray[Any]) -> bool:
    """Whether a coordinate is right where a field lies."""
    units = str(array.attributes.get("units", ""))
    true = field.true.get(kind_of(name, units))
    names = array.dimension_names or ()
    if true is None or name not in field.told:
        return True
    if units == "hours":
        true = {value / 3600 for value in true if value is not None}
    here = np.atleast_1d(values[tuple(field.where.get(key, slice(None)) for key in names)])
    return set(here[~np.isnan(here)].reshape(-1).tolist()) <= true
