"""Whether fields lie where ecCodes' keys say: each field against the coordinates of its place."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["Places", "kind_of"]

_KINDS = (
    "latitude", "longitude", "valid_time", "time", "step", "number", "percentile", "threshold",
    "directionNumber", "frequencyNumber",
)  # fmt: skip


def kind_of(name: str, units: str) -> str:
    """Return what a coordinate is of: ``"level"`` for all types of level, ``"plane"`` for a map.

    Parameters
    ----------
    name, units : str
        Its name, which may end in a number or in ``_bounds``, and its units.
    """
    for kind in _KINDS:
        if name == kind or name.startswith(f"{kind}_"):
            return kind
    if name.partition("_")[0] in ("x", "y", "crs", "values"):
        return "plane"
    return "time" if units.startswith("seconds since") else "level"


class _CheckedField(NamedTuple):
    """A field that was read.

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
    """The fields and coordinates of groups that were read so far, in whichever order."""

    def __init__(self) -> None:
        self._fields: dict[str, list[_CheckedField]] = defaultdict(list)
        self._coordinates: dict[str, dict[str, tuple[Array, NDArray[Any]]]] = defaultdict(dict)

    def field(
        self,
        path: str,
        array: Array,
        at: tuple[int, ...],
        true: Mapping[str, AbstractSet[float | None]],
    ) -> str:  # fmt: skip
        """Note a field; return in what coordinate it lies at the wrong place, empty for none.

        Parameters
        ----------
        path : str
            Path of its array.
        array : Array
            The array.
        at : tuple of int
            Position along the first dimensions.
        true : mapping
            By kind of coordinate: the values that ecCodes gives for it.
        """
        group = path.rpartition("/")[0]
        names = array.dimension_names or ()
        told = {*str(array.attributes.get("coordinates", "")).split(), *names}
        where = dict(zip(names[: len(at)], map(int, at), strict=True))
        found = _CheckedField(where, told | {f"{name}_bounds" for name in told}, true)
        self._fields[group].append(found)
        for name, (coordinate, values) in self._coordinates[group].items():
            if not _holds(found, name, coordinate, values):
                return name
        return ""

    def coordinate(self, path: str, array: Array, values: NDArray[Any]) -> bool:
        """Note a coordinate; return whether all fields read so far lie where it says.

        Parameters
        ----------
        path : str
            Its path.
        array : Array
            The array.
        values : ndarray
            All its values.
        """
        group, _, name = path.rpartition("/")
        self._coordinates[group][name] = array, values
        return all(_holds(field, name, array, values) for field in self._fields[group])


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
