"""Element types and fill values as in Zarr version 2 documents, and back."""

from __future__ import annotations

import base64
import math
import re
import reprlib
from typing import Any

import numpy as np

from refmaker.errors import MetadataError

__all__ = [
    "dtype_from_document",
    "encode_dtype",
    "encode_fill_value",
    "fill_from_document",
    "json_number",
]

_SPECIAL: dict[Any, Any] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SIMPLE = re.compile(r"[<>|](?:[biufcSUV]\d+|O\d*|[mM]8(?:\[\d*[A-Za-zμ]+\])?)")
_KINDS = "biufcSUVOmM"


def encode_dtype(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as in ``.zarray``: a string, or a list of fields.

    Raises
    ------
    MetadataError
        If no document says the same: gaps between fields, subarrays outside of fields,
        string types of numpy's own.
    """
    if dtype.names is None:
        if dtype.subdtype is not None or dtype.kind not in _KINDS:
            raise MetadataError(f"Zarr version 2 has no name for the dtype {dtype}")
        return "|O" if dtype.kind == "O" else dtype.str
    fields: list[Any] = []
    position = 0
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]  # type: ignore[index]
        if offset != position:
            raise MetadataError(f"the field {name!r} does not follow the one before it: {dtype}")
        position += kind.itemsize
        if kind.subdtype is not None:
            fields.append([name, encode_dtype(kind.subdtype[0]), list(kind.subdtype[1])])
        else:
            fields.append([name, encode_dtype(kind)])
    if position != dtype.itemsize:
        raise MetadataError(f"{dtype.itemsize - position} bytes behind the last field: {dtype}")
    return fields


def dtype_from_document(document: Any) -> np.dtype[Any]:
    """Return the dtype that a ``.zarray`` names.

    Raises
    ------
    MetadataError
        If it names none.
    """
    if isinstance(document, str):
        # numpy takes much more for a dtype, such as "f4,f4" or "float".
        if _SIMPLE.fullmatch(document) is None:
            raise MetadataError(f"{reprlib.repr(document)} is not a dtype")
    elif not isinstance(document, list) or not document:
        raise MetadataError(f"{reprlib.repr(document)} is not a dtype")
    try:
        if isinstance(document, str):
            return np.dtype(document)
        fields: list[Any] = []
        for name, kind, *shape in document:
            fields.append((name, dtype_from_document(kind), *(tuple(part) for part in shape)))
        return np.dtype(fields)
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise MetadataError(f"{reprlib.repr(document)} is not a dtype") from error


def json_number(value: float) -> Any:
    """Return a float as JSON can hold it; NaN and infinities become the strings of Zarr."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def encode_fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a fill value as in ``.zarray``.

    Parameters
    ----------
    value : object
        A scalar of the dtype, or None.

    Raises
    ------
    MetadataError
        If the value is none of the dtype, or cannot be written down exactly.
    """
    if value is None:
        return None
    try:
        if dtype.kind == "O":
            return _text(value)
        with np.errstate(over="raise"):
            scalar = np.asarray(value, dtype=dtype)[()]
        return _scalar_document(value, scalar, dtype)
    except (TypeError, ValueError, OverflowError, FloatingPointError) as error:
        raise MetadataError(f"{value!r} is not a fill value of {dtype}") from error


def _scalar_document(value: Any, scalar: Any, dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "SU" and len(scalar) != len(np.asarray(value)[()]):
        raise ValueError("too long")
    if dtype.kind == "S":
        return base64.b64encode(scalar).decode("ascii")
    if dtype.kind == "V":
        if dtype.hasobject:
            raise TypeError("objects have no bytes")
        return base64.b64encode(np.asarray(scalar, dtype).tobytes()).decode("ascii")
    if dtype.kind == "c":
        return [_exact(scalar.real), _exact(scalar.imag)]
    if dtype.kind == "f":
        return _exact(scalar)
    if dtype.kind == "b":
        return bool(scalar)
    if dtype.kind in "mM":
        return int(scalar.view("i8"))
    return str(scalar) if dtype.kind == "U" else int(scalar)


def _exact(value: Any) -> Any:
    if float(value) != value and value == value:  # noqa: PLR0124 - NaN is fine
        raise ValueError("more digits than JSON numbers have")
    return json_number(float(value))


def _text(value: Any, longest: int | None = None) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    if longest is not None and len(value) > longest:
        raise ValueError("too long")
    return str(value)


def fill_from_document(document: Any, dtype: np.dtype[Any]) -> Any:
    """Return the scalar that a ``.zarray``'s fill value means, or None.

    Raises
    ------
    MetadataError
        If it is no value of the dtype.
    """
    if document is None:
        return None
    try:
        if dtype.kind == "O":
            # Some writers give texts the fill value 0, which zarr takes for the text "0".
            number = isinstance(document, int | float) and not isinstance(document, bool)
            return str(document) if number else _text(document)
        if dtype.kind in "SV":
            return _bytes(base64.b64decode(document, validate=True), dtype)
        if dtype.kind == "c" and isinstance(document, list):
            real, imaginary = (float(_special(part)) for part in document)
            return dtype.type(complex(real, imaginary))
        if dtype.kind in "fc":
            return dtype.type(_special(document))
        if dtype.kind in "mM":
            return _time(document, dtype)
        if dtype.kind == "U":
            return np.str_(_text(document, dtype.itemsize // 4))
        return _integer(document, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(f"{document!r} is not a fill value of {dtype}") from error


def _special(document: Any) -> Any:
    return _SPECIAL.get(document, document)


def _bytes(raw: bytes, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "S":
        text = raw.rstrip(b"\0")
        if len(text) > dtype.itemsize:
            raise ValueError("too long")
        return np.bytes_(text)
    if len(raw) != dtype.itemsize or dtype.hasobject:
        raise ValueError(f"{len(raw)} bytes of {dtype.itemsize}")
    return np.frombuffer(raw, dtype, count=1)[0]


def _time(document: Any, dtype: np.dtype[Any]) -> Any:
    if document == "NaT":
        document = np.iinfo(np.int64).min
    # The count is a number; only the array's bytes are in the dtype's order.
    return np.asarray(_whole(document), np.int64).view(dtype.newbyteorder("="))[()]


def _integer(document: Any, dtype: np.dtype[Any]) -> Any:
    number = _whole(document)
    if dtype.kind == "b" and number not in (0, 1):
        raise ValueError("neither true nor false")
    return np.array(number, dtype=dtype)[()]


def _whole(document: Any) -> int:
    """Return a JSON number that has to be an integer, however it is written."""
    if isinstance(document, int | str):
        return int(document)
    if isinstance(document, float) and document.is_integer():
        return int(document)
    raise TypeError("not an integer")
