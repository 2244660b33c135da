"""The times of forecasts: which coordinates of a variable say when it was made, and for when.

Implements the standard names ``forecast_reference_time``, ``forecast_period`` and ``time`` of the
CF conventions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine.times import dates, microseconds, since
from refmaker.combine.values import inline_like, read_values
from refmaker.errors import MetadataError
from refmaker.model import Array
from refmaker.model.inline import inline_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.members import Member
    from refmaker.model import Group

__all__ = ["FORECAST", "ForecastCoordinates", "find", "take"]

FORECAST: Mapping[str, str] = {
    "reference": "forecast_reference_time", "period": "forecast_period", "valid": "time",
}  # fmt: skip
"""By role: the standard name."""
_USUAL = {"reference": "time", "period": "step", "valid": "valid_time"}
"""Names of coordinates that are not there, which follow from the others."""
_SMALL = 1 << 16
"""Bytes of an array of one chunk that is read and kept anew."""


@dataclass(frozen=True, slots=True, eq=False)
class ForecastCoordinates:
    """When the places of a variable along its runs and periods were made, and for when.

    Parameters
    ----------
    member : Member
        The set.
    arrays : dict of str to (str, Array)
        By role: name and array of each coordinate that is there.
    bounds : dict of str to (str, Array)
        The same of their boundaries.
    dimensions : tuple of str
        Those of the variable along which they lie.
    reference, period, valid : ndarray of int64
        In microseconds, times since the epoch of `reference`; of the extents of `dimensions`.
    ends : ndarray or None
        Both ends of the periods that are intervals, with one dimension more.
    small : bool
        Whether the variable is kept in the set in one piece.
    """

    member: Member
    arrays: Mapping[str, tuple[str, Array]]
    bounds: Mapping[str, tuple[str, Array]]
    dimensions: tuple[str, ...]
    reference: NDArray[np.int64]
    period: NDArray[np.int64]
    valid: NDArray[np.int64]
    ends: NDArray[Any] | None
    small: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of `dimensions`."""
        return self.valid.shape

    @property
    def names(self) -> set[str]:
        """Names of the coordinates and their boundaries."""
        return {name for name, _ in (*self.arrays.values(), *self.bounds.values())}

    def called(self, role: str) -> str:
        """Return the name of a coordinate, or what it is usually called."""
        return self.arrays[role][0] if role in self.arrays else _USUAL[role]

    @property
    def lasting(self) -> NDArray[np.bool_]:
        """Where a period is no interval without a length."""
        if self.ends is None:
            return np.ones(self.shape, bool)
        return np.asarray(self.ends[..., 0] != self.ends[..., 1])

    @property
    def since_start(self) -> bool:
        """Whether all periods are intervals from the start of their runs on, of several lengths."""
        if self.ends is None:
            return False
        begin, end = self.ends[..., 0], self.ends[..., 1]
        return not begin[begin != end].any() and len(np.unique(end[begin != end])) > 1

    @property
    def dates(self) -> NDArray[np.int64]:
        """Reference times in microseconds since 1970."""
        _, array = self.arrays["reference"]
        (values,) = read_values([(self.member, "", array)])
        found = dates(values, array.attributes).astype(np.int64)
        return _laid(found, array, self.dimensions, self.shape)

    def present(self, array: Array) -> NDArray[np.bool_]:
        """Return at which places the variable has a chunk."""
        if self.small:
            return np.ones(self.shape, bool)
        found = np.zeros(self.shape, bool)
        at = array.chunks.coordinates()
        axes = [(array.dimension_names or ()).index(name) for name in self.dimensions]
        if axes:
            found[tuple(at[axis] for axis in axes)] = True
        elif array.chunks.present:
            found[()] = True
        for number in array.chunks.inlined:
            place = np.unravel_index(number, array.chunks.grid)
            found[tuple(place[axis] for axis in axes)] = True
        return found

    def taken(
        self, cells: tuple[NDArray[np.int64], ...], names: Mapping[str, str]
    ) -> dict[str, Array]:
        """Return the coordinates of some places along one dimension, that of valid times.

        Parameters
        ----------
        cells : tuple of ndarray, shape (n,)
            Positions along `dimensions`.
        names : mapping of str to str
            What they are called, by role.
        """
        made: dict[str, Array] = {}
        for role, called in names.items():
            if role not in self.arrays:
                made[called] = self._computed(role, cells, names["valid"])
                continue
            _, array = self.arrays[role]
            found = _along(self.member, array, self.dimensions, cells, names["valid"])
            if role in self.bounds:
                _, ends = self.bounds[role]
                made[f"{called}_bounds"] = _along(
                    self.member, ends, self.dimensions, cells, names["valid"]
                )
                told = dict(found.attributes) | {"bounds": f"{called}_bounds"}
                found = replace(found, attributes=told)
            made[called] = found
        return made

    def _computed(self, role: str, cells: tuple[NDArray[np.int64], ...], along: str) -> Array:
        """Return a coordinate that follows from the other two, in seconds."""
        values = self.valid[cells] if role == "valid" else self.period[cells]
        seconds = values / 1e6 if (values % 1_000_000).any() else values // 1_000_000
        _, reference = self.arrays["reference"]
        attributes: dict[str, Any] = {"standard_name": FORECAST[role], "units": "seconds"}
        if role == "valid":
            attributes["units"] = since("seconds", reference.attributes)
            attributes |= {
                key: reference.attributes[key] for key in ("calendar",)
                if key in reference.attributes
            }  # fmt: skip
        return inline_array(seconds, (along,), attributes)


def find(group: Group, name: str, path: str, member: Member) -> ForecastCoordinates | None:
    """Return the times of a variable; None if it is no forecast."""
    array = group.members[name]
    dimensions = () if not isinstance(array, Array) else array.dimension_names or ()
    if not isinstance(array, Array) or array.attributes.get("standard_name") in FORECAST.values():
        return None
    arrays = {
        role: found for role, standard in FORECAST.items()
        if (found := _coordinate(group, array, name, standard)) is not None
    }  # fmt: skip
    if "reference" not in arrays or len(arrays) < 2 or name in _boundaries(group):
        return None
    along = {d for _, one in arrays.values() for d in one.dimension_names or ()}
    lead = tuple(d for d in dimensions if d in along)
    told = {*dimensions, *str(array.attributes.get("coordinates", "")).split()}
    if not lead and not all(called in told for called, _ in arrays.values()):
        return None
    shape = tuple(array.shape[dimensions.index(d)] for d in lead)
    bounds = {
        role: (str(one.attributes["bounds"]), edge) for role, (_, one) in arrays.items()
        if isinstance(edge := group.members.get(str(one.attributes.get("bounds", ""))), Array)
    }  # fmt: skip
    return _read(array, arrays, bounds, lead, shape, path, member)


def _read(
    array: Array,
    arrays: Mapping[str, tuple[str, Array]],
    bounds: Mapping[str, tuple[str, Array]],
    lead: tuple[str, ...],
    shape: tuple[int, ...],
    path: str,
    member: Member,
) -> ForecastCoordinates:
    items = [(member, f"/{path}{called}", one) for called, one in arrays.values()]
    values = dict(zip(arrays, read_values(items), strict=True))
    found = {}
    for role, (called, one) in arrays.items():
        try:
            counted = microseconds(values[role], one.attributes)
        except MetadataError as error:
            raise error.located(url=member.name, path=f"/{path}{called}") from error
        found[role] = _laid(counted, one, lead, shape)
    if "valid" in found:
        own = since("microseconds", arrays["reference"][1].attributes)
        other = since("microseconds", arrays["valid"][1].attributes)
        if own != other:
            found["valid"] = found["valid"] + _apart(arrays)
    found.setdefault("valid", found["reference"] + found.get("period", 0))
    found.setdefault("period", found["valid"] - found["reference"])
    ends = None
    if "period" in bounds:
        called, edge = bounds["period"]
        (both,) = read_values([(member, f"/{path}{called}", edge)])
        if both.shape[-1:] == (2,):
            laid = [_laid(both[..., k], arrays["period"][1], lead, shape) for k in (0, 1)]
            ends = np.stack(laid, axis=-1)
    one_piece = array.chunks.size == 1 and bool(array.chunks.inlined)
    small = one_piece and math.prod(array.shape) * array.dtype.itemsize <= _SMALL
    return ForecastCoordinates(
        member, arrays, bounds, lead, found["reference"], found["period"], found["valid"], ends,
        small,
    )  # fmt: skip


def _apart(arrays: Mapping[str, tuple[str, Array]]) -> int:
    """Return the microseconds from the epoch of reference times to that of valid times."""
    zero = np.zeros(1, np.int64)
    there, here = (dates(zero, arrays[role][1].attributes) for role in ("valid", "reference"))
    return int((there - here).astype(np.int64)[0])


def _coordinate(
    group: Group, array: Array, name: str, standard: str
) -> tuple[str, Array] | None:  # fmt: skip
    """Return the coordinate of a standard name that lies along dimensions of a variable."""
    dimensions = set(array.dimension_names or ())
    told = dimensions | set(str(array.attributes.get("coordinates", "")).split())
    found = [
        (called, one) for called, one in group.members.items()
        if isinstance(one, Array) and called != name
        and one.attributes.get("standard_name") == standard
        and set(one.dimension_names or ()) <= dimensions
    ]  # fmt: skip
    named = [(called, one) for called, one in found if called in told] or found
    return max(named, key=lambda item: len(item[1].shape), default=None)


def _boundaries(group: Group) -> set[str]:
    """Return the names of boundaries of coordinates."""
    arrays = (one for one in group.members.values() if isinstance(one, Array))
    return {str(one.attributes["bounds"]) for one in arrays if "bounds" in one.attributes}


def _laid(
    values: NDArray[Any], like: Array, dimensions: Sequence[str], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return the values of a coordinate at every place along some dimensions."""
    own = like.dimension_names or ()
    order = [own.index(name) for name in dimensions if name in own]
    extents = [n if name in own else 1 for name, n in zip(dimensions, shape, strict=True)]
    return np.broadcast_to(values.transpose(order).reshape(extents), shape)


def _along(
    member: Member,
    array: Array,
    dimensions: Sequence[str],
    cells: tuple[NDArray[np.int64], ...],
    name: str,
) -> Array:
    """Return a coordinate at some places, along one dimension."""
    own = array.dimension_names or ()
    axes = [own.index(one) for one in dimensions if one in own]
    at = tuple(positions for one, positions in zip(dimensions, cells, strict=True) if one in own)
    rest = [one for one in own if one not in dimensions]
    count = len(cells[0]) if cells else 1
    if not axes:
        (values,) = read_values([(member, "", array)])
        values = np.broadcast_to(values, (count, *values.shape))
        return inline_like(values, array, (name, *rest))
    return replace(take(member, array, "", axes, at), dimension_names=(name, *rest))


def take(
    member: Member, array: Array, path: str, axes: Sequence[int], at: tuple[NDArray[np.int64], ...]
) -> Array:
    """Return places of an array along some of its dimensions as one dimension, the first.

    Parameters
    ----------
    array : Array
        Small: its values are read, and kept in the set.
    at : tuple of ndarray, shape (n,)
        Positions along each.
    """
    (values,) = read_values([(member, path, array)])
    moved = np.moveaxis(values, axes, range(len(axes)))
    names = [name for axis, name in enumerate(array.dimension_names or ()) if axis not in axes]
    return inline_like(moved[at] if axes else moved[None], array, ("", *names))
