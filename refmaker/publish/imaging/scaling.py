"""How stored values become quantities: one slope and intercept, one for each frame, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["Coordinate", "Scaling", "scaling_of"]

_UNSCALED = "take the stored values, with scaled set to False"


class Coordinate(NamedTuple):
    """A small array that stands beside a volume."""

    values: NDArray[Any]
    units: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """A linear transformation of values.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the result: an integer type where slope, intercept and stored values are integers,
        else float64; that of the stored values where there is nothing to do.
    slope, intercept : ndarray of float64, or None
        Broadcast over the dimensions of the volume; None if values stay as they are.
    """

    dtype: np.dtype[Any]
    slope: NDArray[np.float64] | None = None
    intercept: NDArray[np.float64] | None = None

    def apply(self, stored: NDArray[Any], region: Sequence[slice]) -> NDArray[Any]:
        """Return the quantities of a region of stored values.

        Parameters
        ----------
        stored : ndarray
            The values of the region.
        region : sequence of slice
            One for each dimension of the volume.
        """
        if self.slope is None or self.intercept is None:
            return stored.astype(self.dtype, copy=False)
        slope, intercept = (_part(one, region) for one in (self.slope, self.intercept))
        if self.dtype.kind in "iu":
            whole = stored.astype(self.dtype)
            whole *= slope.astype(self.dtype)
            whole += intercept.astype(self.dtype)
            return whole
        return stored * slope + intercept


def scaling_of(
    array: Array, names: Sequence[str], beside: Mapping[str, Coordinate], path: str, *, scaled: bool
) -> Scaling:
    """Return the scaling of an array.

    Parameters
    ----------
    array : Array
        With ``scale_factor`` and ``add_offset``, or ``rescale``, among its attributes.
    names : sequence of str
        Dimensions of the volume, in its order.
    beside : mapping of str to Coordinate
        What stands beside it: ``rescale_slope`` and ``rescale_intercept``.
    path : str
        Of the array, for messages.
    scaled : bool
        Whether there is to be any.

    Raises
    ------
    UnsupportedError
        If some of its frames tell no scaling, or it is a look-up table.
    """
    attributes = array.attributes
    plain = Scaling(array.dtype.newbyteorder("="))
    if not scaled:
        return plain
    if attributes.get("rescale_incomplete"):
        raise _refused("some of its frames tell no rescaling that has one reading", path)
    if "modality_lut" in beside:
        raise _refused("its quantities are in a look-up table, modality_lut", path)
    if "rescale" in attributes:
        parts = [beside.get(name) for name in ("rescale_slope", "rescale_intercept")]
        sizes = [1] * len(names)
        one = np.ones(sizes)
        slope, intercept = (
            default if part is None else _spread(part, names)
            for part, default in zip(parts, (one, one * 0), strict=True)
        )
        return Scaling(np.dtype(np.float64), slope, intercept)
    scale, offset = attributes.get("scale_factor"), attributes.get("add_offset")
    if scale is None and offset is None:
        return plain
    scale, offset = float(scale or 1.0 if scale is None else scale), float(offset or 0.0)
    if (scale, offset) == (1.0, 0.0):
        return plain
    shape = (1,) * len(names)
    return Scaling(_type(array.dtype, scale, offset), np.full(shape, scale), np.full(shape, offset))


def _refused(why: str, path: str) -> UnsupportedError:
    return UnsupportedError(why, code="scaling", path=path, hint=_UNSCALED)


def _spread(part: Coordinate, names: Sequence[str]) -> NDArray[np.float64]:
    """Return an array over some dimensions of the volume as one that broadcasts over all."""
    order = sorted(range(len(part.names)), key=lambda at: _at(names, part.names[at]))
    shape = [1] * len(names)
    for at in order:
        shape[_at(names, part.names[at])] = part.values.shape[at]
    return np.asarray(part.values, np.float64).transpose(order).reshape(shape)


def _at(names: Sequence[str], name: str) -> int:
    return list(names).index(name)


def _part(values: NDArray[np.float64], region: Sequence[slice]) -> NDArray[np.float64]:
    """Return what of values that broadcast belongs to a region."""
    chosen = tuple(
        slice(None) if extent == 1 else part
        for extent, part in zip(values.shape, region, strict=True)
    )
    return values[chosen]


def _type(dtype: np.dtype[Any], scale: float, offset: float) -> np.dtype[Any]:
    """Return the smallest integer type that holds all results exactly, or float64."""
    if dtype.kind not in "iu" or not scale.is_integer() or not offset.is_integer():
        return np.dtype(np.float64)
    info = np.iinfo(dtype)
    ends = [int(end) * int(scale) + int(offset) for end in (info.min, info.max)]
    for candidate in (np.int16, np.int32, np.int64):
        limits = np.iinfo(candidate)
        if limits.min <= min(ends) and max(ends) <= limits.max:
            return np.dtype(candidate)
    return np.dtype(np.float64)
