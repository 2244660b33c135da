"""The values of tags, as the rest of the package likes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.ifd_entries import ASCII, RATIONALS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["distinct", "plain", "signed"]


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the different values, ascending; at once if all are equal."""
    if values.size and bool((values == values[0]).all()):
        return values[:1]
    return np.unique(values)


def signed(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return any integers as int64; those that do not fit become the largest one."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        values = np.minimum(values, np.uint64(2**63 - 1))
    return values.astype(np.int64)


def plain(row: NDArray[Any], kind: int) -> Any:
    """Return the values of one tag as plain Python ones, several numbers as an array.

    Parameters
    ----------
    row : ndarray, shape (count,) or (count, 2)
        The values; rationals as pairs.
    """
    if kind == ASCII:
        return _text(row.tobytes())
    if kind in RATIONALS:
        with np.errstate(divide="ignore", invalid="ignore"):
            row = row[:, 0].astype(np.float64) / row[:, 1]
    elif kind == 7 or (kind == 1 and row.size > 1):
        return row.tobytes()
    return row[0].item() if row.size == 1 else row


def _text(data: bytes) -> str:
    data = data.rstrip(b"\0")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
