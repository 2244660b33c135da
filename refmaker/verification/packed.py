"""What files have packed each in its own way, as a set says it: decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.codecs.packing import packing_of, unpacked
from refmaker.model.zarr_v3 import in_pieces
from refmaker.scanning.protocol import MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["as_decoded"]


def as_decoded(values: NDArray[Any], native: Array, array: Array) -> NDArray[Any]:
    """Return values of a file as the set has them, by what the file itself says of packing.

    Parameters
    ----------
    values : ndarray
        The file's, packed if it packs them.

    Raises
    ------
    MismatchError
        If the file does not pack them, though the set says so.
    """
    if not in_pieces(array):
        return values
    packing = packing_of(native.attributes, native.dtype, native.fill_value)
    if packing is None:
        raise MismatchError("its file does not pack the values")
    return unpacked(values, packing).astype(array.dtype)
