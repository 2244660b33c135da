"""Whether attributes that decide what values mean are those of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.missing_values import settled
from refmaker.model.zarr_v3 import in_pieces
from refmaker.verification.times import time_attributes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from refmaker.model import Array

__all__ = ["metadata_difference"]

_DECODING = (
    "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "units", "calendar",
)  # fmt: skip


def metadata_difference(
    array: Array, scanned: Sequence[Array], *, joined: bool, edited: Collection[str] = ()
) -> str:
    """Return what of an array's metadata is that of no file.

    Attributes that readers decode values by are compared, and the fill value. Joined times may
    have been written in other units; their values are compared by what they mean.

    Parameters
    ----------
    scanned : sequence of Array
        What scanning its files again says of it.
    joined : bool
        Whether they are many that were joined.
    edited : collection of str
        Attributes that were set by editing, which are not compared.

    Returns
    -------
    str
        Empty if there is no difference, or nothing to compare with.
    """
    if not scanned:
        return ""
    array, scanned = settled(array), [settled(other) for other in scanned]
    rewritten = joined and not array.chunks.referenced and _have_other_units(array, scanned)
    names = _DECODING[-2:] if in_pieces(array) else _DECODING
    for name in () if rewritten else names:
        if name in edited:
            continue
        told = array.attributes.get(name)
        theirs = [other.attributes.get(name) for other in scanned]
        if not any(_same(told, other) for other in theirs):
            return f"{name} is {_shown(told)}, and {_shown(theirs[0])} in the file"
    fills = [other.fill_value for other in scanned if other.dtype == array.dtype]
    if rewritten:
        fills.append(None)
    elif joined and None in fills:
        # Where no file has anything, joining fills with what means that nothing is there.
        fills += [array.attributes.get(name) for name in _DECODING[:2]] + [float("nan")]
    if (
        _DECODING[0] not in edited
        and fills
        and not any(_same(array.fill_value, fill) for fill in fills)
    ):
        return f"the fill value is {array.fill_value}, and {fills[0]} in the file"
    return ""


def _have_other_units(array: Array, scanned: Sequence[Array]) -> bool:
    """Tell whether times of files were counted from other dates than those of the set."""
    ours = time_attributes({"x": array}, "x")
    units = [time_attributes({"x": other}, "x") for other in scanned]
    return bool(ours) and all(units) and any(other != ours for other in units)


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    if one is None or other is None:
        return one is other
    left, right = np.asarray(one), np.asarray(other)
    if left.shape != right.shape:
        return False
    if left.dtype.kind in "iufcb" and right.dtype.kind in "iufcb":
        return bool(np.array_equal(left, right, equal_nan=True))
    # Texts for NaN and infinities are spelled so in JSON.
    return bool(np.array_equal(left.astype(str), right.astype(str)))


def _shown(value: Any) -> str:
    return "absent" if value is None else repr(value)
