"""Number types: what the elements of data sets and Vdatas are.

Implements the codes of ``hntdefs.h`` and section 3.3.1 of the HDF Specification 4.2 (DFTAG_NT).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from refmaker.errors import FormatError, UnsupportedError

__all__ = ["DEFAULT_FILL", "dtype_of_code", "dtype_of_element"]

_KINDS: Final = {
    3: "S1", 4: "S1", 5: "f4", 6: "f8", 20: "i1", 21: "u1", 22: "i2", 23: "u2", 24: "i4", 25: "u4",
    26: "i8", 27: "u8",
}  # fmt: skip
_LITTLE, _NATIVE = 0x4000, 0x1000
_BIG_CLASS, _LITTLE_CLASS = 1, 4
_REMEDY: Final = "write it as big-endian numbers, by hrepack or by a program that reads it"

DEFAULT_FILL: Final = {
    "i1": -127,
    "S1": b"\0",
    "i2": -32767,
    "i4": -2147483647,
    "f4": 9.9692099683868690e36,
    "f8": 9.9692099683868690e36,
    "u1": 129,
    "u2": 32769,
    "u4": 2147483649,
}
"""What the library takes elements for that were never written, where the file declares nothing."""


def dtype_of_code(code: int) -> np.dtype[Any]:
    """Return the type of elements by a code, as Vdatas and attributes give it.

    Raises
    ------
    UnsupportedError
        If it is native to some machine, or no number; code ``hdf4-number-type``.
    """
    kind = _KINDS.get(code & 0xFFF)
    if kind is None or code & ~(_LITTLE | 0xFFF):
        raise _refused(f"{code & 0xFFF}", "native numbers" if code & _NATIVE else "no known type")
    return np.dtype(f"{'<' if code & _LITTLE else '>'}{kind}")


def dtype_of_element(raw: bytes) -> np.dtype[Any]:
    """Return the type of elements by a number type element: version, type, bits, class.

    Parameters
    ----------
    raw : bytes
        The element DFTAG_NT.

    Raises
    ------
    FormatError
        If it is too short or contradicts itself.
    UnsupportedError
        As for `dtype_of_code`.
    """
    if len(raw) < 4:
        raise FormatError(f"a number type of {len(raw)} bytes")
    _, code, bits, order = raw[:4]
    kind = _KINDS.get(code)
    if kind is None:
        raise _refused(str(code), "no known type")
    dtype = np.dtype(kind)
    if bits != 8 * dtype.itemsize:
        raise FormatError(f"a number type {code} of {bits} bits")
    if order not in (_BIG_CLASS, _LITTLE_CLASS) and not (kind == "S1" and order == 0):
        raise _refused(str(code), f"class {order}, native to some machine")
    return dtype.newbyteorder("<" if order == _LITTLE_CLASS else ">")


def _refused(code: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"elements of the number type {code}, {why}", code="hdf4-number-type", hint=_REMEDY
    )
