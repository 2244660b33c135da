"""Stored values as their attributes say they are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.attributes import number_in
from refmaker.model.packing import is_missing, reinterpreted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array

    Beside = Callable[[str], tuple[tuple[str, ...], NDArray[Any]] | None]

__all__ = ["physical"]

_PARTS = ("rescale_slope", "rescale_intercept")
"""Arrays beside an image of DICOM whose frames differ."""


def physical(
    stored: NDArray[Any], array: Array, region: Sequence[NDArray[np.int64]], beside: Beside
) -> NDArray[Any]:
    """Return values as they are meant.

    By ``_Unsigned``, ``_FillValue``, ``missing_value``, the valid range, ``scale_factor`` and
    ``add_offset`` (CF conventions, sections 2.5.1 and 8.1), by the scale and offset of each band
    (GDAL) and by the rescaling of each frame (DICOM).

    Parameters
    ----------
    stored : ndarray
        Of kind b, i, u, f or c.
    array : Array
        Where they are from.
    region : sequence of ndarray of int64
        The elements that they are of.
    beside : callable
        Returns dimensions and values of an array that belongs to this one, or None.

    Returns
    -------
    ndarray of float64
        Missing and invalid values are NaN; of complex numbers the magnitude.

    Raises
    ------
    UnsupportedError
        If it is said that values are packed, and cannot be told how.
    """
    if stored.dtype.kind == "c":
        return np.asarray(np.abs(stored), "f8")
    shown: NDArray[Any] = reinterpreted(stored, array.attributes).astype("f8")
    if stored.dtype.kind in "iuf":
        # The fill value of a raster marks cells without data; of other images zero may be one, but
        # is dark.
        shown[is_missing(stored, array, fill="grid_mapping" in array.attributes)] = np.nan
    packing = ("scale_factor", "add_offset")
    factor, offset = (number_in(array.attributes, key) for key in packing)
    for key, known in zip(packing, (factor, offset), strict=True):
        if known is None and key in array.attributes:
            raise _unknown(f"its {key} is not one number")
    if factor is not None or offset is not None:
        return shown * (1.0 if factor is None else factor) + (offset or 0.0)
    return _by_parts(shown, array, region, beside)


def _by_parts(
    shown: NDArray[Any], array: Array, region: Sequence[NDArray[np.int64]], beside: Beside
) -> NDArray[Any]:
    """Apply what differs from band to band, or from frame to frame."""
    names = array.dimension_names or ()
    scales, offsets = array.attributes.get("scales"), array.attributes.get("offsets")
    if "band" in names and (isinstance(scales, list) or isinstance(offsets, list)):
        at = names.index("band")
        size = array.shape[at]
        # What GDAL does not say is one or zero.
        scales = [1.0] * size if scales is None else scales
        offsets = [0.0] * size if offsets is None else offsets
        if not all(isinstance(one, list) and len(one) == size for one in (scales, offsets)):
            raise _unknown(f"its scales and offsets are not of {size} bands")
        shape = [1] * shown.ndim
        shape[at] = -1
        factors, shifts = (np.asarray(one, "f8")[region[at]] for one in (scales, offsets))
        return np.asarray(shown * factors.reshape(shape) + shifts.reshape(shape))
    if "rescale" not in array.attributes:
        return shown
    slope, intercept = (_spread(beside(part), names, region) for part in _PARTS)
    if slope is None or intercept is None:
        raise _unknown("the arrays that rescale its frames are not there")
    return np.asarray(shown * slope + intercept)


def _unknown(reason: str) -> UnsupportedError:
    return UnsupportedError(f"what its values mean is not known: {reason}")


def _spread(
    found: tuple[tuple[str, ...], NDArray[Any]] | None,
    names: Sequence[str],
    region: Sequence[NDArray[np.int64]],
) -> NDArray[Any] | None:
    """Return values over some of the dimensions, as they fit to a region."""
    if found is None:
        return None
    if not set(found[0]) <= set(names):
        raise _unknown(f"its frames are rescaled along {', '.join(map(str, found[0]))}")
    dims, values = found
    chosen = values[np.ix_(*(region[names.index(dim)] for dim in dims))] if dims else values
    order = sorted(range(len(dims)), key=lambda at: names.index(dims[at]))
    shape = [region[at].size if name in dims else 1 for at, name in enumerate(names)]
    return np.asarray(chosen.transpose(order).reshape(shape))
