"""Packed numbers of the CF conventions (section 8.1), decoded as xarray decodes them.

The type that they decode to follows from the types of ``scale_factor`` and ``add_offset``, and in
that type they are computed: floats of 4 bytes are rounded after the product and after the sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model.attribute_types import typed_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Packing", "packing_of", "unpacked"]

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_AT_ONCE = 1 << 15
"""Values that are decoded together."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How one file has packed a variable.

    Parameters
    ----------
    scale_factor, add_offset : float, optional
        None where the attribute is absent.
    decoded : numpy.dtype
        What the values decode to, and are computed in.
    missing : tuple of int
        Packed values that stand for missing ones, as elements of `raw`.
    raw : numpy.dtype
        What the packed values are, in this machine's order; unsigned where ``_Unsigned`` says so.
    """

    scale_factor: float | None
    add_offset: float | None
    decoded: np.dtype[Any]
    missing: tuple[int, ...]
    raw: np.dtype[Any]


def packing_of(
    attributes: Mapping[str, Any], dtype: np.dtype[Any], fill_value: Any = None
) -> Packing | None:
    """Return how a variable is packed; None if it is not.

    Parameters
    ----------
    fill_value : object, optional
        A value that stands for missing ones beside those that the attributes name.

    Raises
    ------
    UnsupportedError
        If the packing is none of integers by finite floats; code ``packing``.
    """
    known = typed_attributes(attributes)
    scale, offset = known.get("scale_factor"), known.get("add_offset")
    if scale is None and offset is None:
        return None
    if dtype.kind not in "iu":
        raise UnsupportedError(f"packed values of type {dtype}, no integers", code="packing")
    types = [_float(name, known[name]) for name in ("scale_factor", "add_offset") if name in known]
    raw = dtype.newbyteorder("=")
    if str(known.get("_Unsigned", "")).lower() == "true":
        raw = np.dtype(f"u{dtype.itemsize}")
    elif str(known.get("_Unsigned", "")).lower() == "false":
        raw = np.dtype(f"i{dtype.itemsize}")
    if len(types) == 2 and types[0] == types[1]:
        decoded = np.dtype("f8") if dtype.itemsize == 4 else types[0]
    elif offset is not None:
        decoded = np.dtype("f8")
    else:
        decoded = types[0]
    marks = [fill_value, known.get("_FillValue")]
    marks += np.atleast_1d(np.asarray(known.get("missing_value", []))).tolist()
    missing = {_packed(mark, raw) for mark in marks if mark is not None} - {None}
    return Packing(
        None if scale is None else float(scale),
        None if offset is None else float(offset),
        decoded,
        tuple(sorted(missing)),  # type: ignore[arg-type]
        raw,
    )


def _float(name: str, value: Any) -> np.dtype[Any]:
    found = np.asarray(value)
    if found.shape != () or found.dtype not in _FLOATS or not math.isfinite(float(found)):
        raise UnsupportedError(f"{name} is {value!r:.80}, no finite float", code="packing")
    return found.dtype


def _packed(mark: Any, raw: np.dtype[Any]) -> int | None:
    """Return a mark as an element; None if no element can be it."""
    if not isinstance(mark, int | float | np.number) or isinstance(mark, bool):
        return None
    if not math.isfinite(float(mark)) or mark != int(mark):
        return None
    number, bits = int(mark), 8 * raw.itemsize
    if raw.kind == "u" and -(1 << (bits - 1)) <= number < 0:
        number += 1 << bits
    elif raw.kind == "i" and (1 << (bits - 1)) <= number < (1 << bits):
        number -= 1 << bits
    limits = np.iinfo(raw)
    return number if int(limits.min) <= number <= int(limits.max) else None


def unpacked(values: NDArray[Any], packing: Packing) -> NDArray[Any]:
    """Return what packed values stand for; NaN where they are missing.

    Parameters
    ----------
    values : ndarray
        Integers as wide as those of `packing`.

    Returns
    -------
    ndarray
        Of the type that they decode to, with a shape of its own.
    """
    shape = np.shape(values)
    values = np.ascontiguousarray(values).reshape(-1)
    values = values.astype(values.dtype.newbyteorder("="), copy=False).view(packing.raw)
    found: NDArray[Any] = np.empty(values.shape, packing.decoded)
    # Some at a time, so that what one step writes the next one finds in the processor's cache.
    for first in range(0, values.size, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        _unpack(values[part], packing, found[part])
    return found.reshape(shape)


def _unpack(values: NDArray[Any], packing: Packing, found: NDArray[Any]) -> None:
    number = packing.decoded.type
    if packing.scale_factor is None:
        found[...] = values
    else:
        np.multiply(values, number(packing.scale_factor), out=found, dtype=packing.decoded,
                    casting="unsafe")  # fmt: skip
    if packing.add_offset is not None:
        found += number(packing.add_offset)
    for mark in packing.missing:
        np.copyto(found, number(np.nan), where=values == mark)
