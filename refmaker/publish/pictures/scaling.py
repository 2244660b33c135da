"""Stored values as their attributes say they are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import number_in
from refmaker.model.packing import missing_values

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

    By ``_Unsigned``, ``_FillValue``, ``missing_value``, ``scale_factor`` and ``add_offset`` (CF
    conventions, section 8.1), by the scale and offset of each band (GDAL) and by the rescaling of
    each frame (DICOM).

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
        Missing values are NaN; of complex numbers the magnitude.
    """
    if stored.dtype.kind == "c":
        return np.asarray(np.abs(stored), "f8")
    told = str(array.attributes.get("_Unsigned", "")).lower()
    raw = stored
    kind = {"true": "u", "false": "i"}.get(told, stored.dtype.kind)
    if stored.dtype.kind in "iu" and kind != stored.dtype.kind:
        stored = stored.astype(stored.dtype.newbyteorder("=")).view(
            f"{kind}{stored.dtype.itemsize}"
        )
    shown: NDArray[Any] = stored.astype("f8")
    # The fill value of a raster marks cells without data; of other images zero may be one, but is
    # dark.
    fill = "grid_mapping" in array.attributes
    for value in missing_values(array, fill=fill) if stored.dtype.kind in "iuf" else ():
        # Of what is to be taken as unsigned, some writers give the missing value signed.
        shown[(stored == value) | (raw == value)] = np.nan
    factor, offset = (number_in(array.attributes, key) for key in ("scale_factor", "add_offset"))
    if factor is not None or offset is not None:
        return shown * (1.0 if factor is None else factor) + (offset or 0.0)
    return _by_parts(shown, array, region, beside)


def _by_parts(
    shown: NDArray[Any], array: Array, region: Sequence[NDArray[np.int64]], beside: Beside
) -> NDArray[Any]:
    """Apply what differs from band to band, or from frame to frame."""
    names = array.dimension_names or ()
    scales, offsets = array.attributes.get("scales"), array.attributes.get("offsets")
    if isinstance(scales, list) and isinstance(offsets, list) and "band" in names:
        at = names.index("band")
        if len(scales) == len(offsets) == array.shape[at]:
            shape = [1] * shown.ndim
            shape[at] = -1
            factors, shifts = (np.asarray(one, "f8")[region[at]] for one in (scales, offsets))
            return np.asarray(shown * factors.reshape(shape) + shifts.reshape(shape))
    if "rescale" not in array.attributes:
        return shown
    slope, intercept = (_spread(beside(part), names, region) for part in _PARTS)
    if slope is not None:
        shown = shown * slope
    return shown if intercept is None else np.asarray(shown + intercept)


def _spread(
    found: tuple[tuple[str, ...], NDArray[Any]] | None,
    names: Sequence[str],
    region: Sequence[NDArray[np.int64]],
) -> NDArray[Any] | None:
    """Return values over some of the dimensions, as they fit to a region."""
    if found is None or not set(found[0]) <= set(names):
        return None
    dims, values = found
    chosen = values[np.ix_(*(region[names.index(dim)] for dim in dims))] if dims else values
    order = sorted(range(len(dims)), key=lambda at: names.index(dims[at]))
    shape = [region[at].size if name in dims else 1 for at, name in enumerate(names)]
    return np.asarray(chosen.transpose(order).reshape(shape))
