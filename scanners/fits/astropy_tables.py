"""Columns of FITS tables by astropy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["column_values"]


def column_values(raw: Any, scaled: Any, heap: bytes, name: str, array: Array) -> NDArray[Any]:
    """Return a column, unscaled but for unsigned integers.

    Parameters
    ----------
    raw, scaled : astropy.io.fits.BinTableHDU or TableHDU
        The table, without and with scaling.
    heap : bytes
        What the table's offsets lead into.
    name : str
        The column, as it is called in the reference set; or that of the numbers of elements.
    array : Array
        What the reference set says of it.

    Raises
    ------
    FormatError
        If astropy has no such column, or one of another type.
    """
    at, counts = _place(raw, name)
    form = str(raw.columns[at].format)
    if re.match(r"[0-9]*[PQ]", form):
        return _lists(raw, scaled, heap, at, array, counts=counts)
    if raw.header["XTENSION"].strip() == "TABLE":
        return _text_column(raw, at, array)
    records = raw.data.view(np.ndarray)
    values = records[records.dtype.names[at]]
    bits = re.match(r"([0-9]*)X", form)
    if bits:  # with TDIM, astropy takes bits for bytes: of these, those of the column
        flat = np.ascontiguousarray(values).reshape(len(values), -1)
        values = flat[:, : -(-int(bits[1] or 1) // 8)]
    elif _is_shifted(array):
        values = np.asarray(scaled.data.field(at))
    if values.dtype.itemsize != array.dtype.itemsize and values.size:
        raise FormatError(f"astropy reads {values.dtype}, not {array.dtype}", path=name)
    if array.dtype.kind == "S":
        return np.ascontiguousarray(values).view(array.dtype)
    return np.asarray(values)


def _place(raw: Any, name: str) -> tuple[int, bool]:
    """Return the number of a column, from 0, and whether the numbers of its elements are meant."""
    names = [re.sub(r"[/\\\x00-\x1f]", "_", column.name) for column in raw.columns]
    told = re.search(r"_col([0-9]+)$", name)
    at = names.index(name) if name in names else int(told[1]) - 1 if told else -1
    if 0 <= at < len(names):
        return at, False
    of = re.fullmatch(r"(.*)_count_*", name)
    if of:
        return _place(raw, of[1])[0], True
    raise FormatError("astropy has no such column", path=name)


def _is_shifted(array: Array) -> bool:
    known = ("fixedscaleoffset", "refmaker.fits_unsigned")
    return any(config["id"] in known for config in array.filters)


def _lists(
    raw: Any, scaled: Any, heap: bytes, at: int, array: Array, *, counts: bool
) -> NDArray[Any]:
    """Return lists of the heap: one behind the other, as rows, as texts, or their lengths."""
    column = raw.columns[at]
    plain = column.bscale in (None, "", 1) and column.bzero in (None, "", 0)
    if not plain and not _is_shifted(array):
        raise FormatError("astropy gives scaled lists alone", path=column.name)
    rows = (scaled if _is_shifted(array) else raw).data.field(at)
    if counts:
        return np.array([len(row) for row in rows], np.int64)
    if array.dtype.hasobject:
        texts = ["".join(np.atleast_1d(row).tolist()) for row in rows]
        made = np.empty(len(texts), object)
        made[:] = [text.partition("\0")[0] for text in texts]
        return made
    if array.dtype.kind == "S":  # logical values: astropy takes undefined ones for false
        records = raw.data.view(np.ndarray)
        places = records[records.dtype.names[at]].tolist()
        letters = b"".join(heap[start : start + count] for count, start in places)
        return np.frombuffer(letters, "S1")
    lists = [np.asarray(row).reshape(-1) for row in rows]
    found: NDArray[Any] = np.concatenate([*lists, np.empty(0, array.dtype)])
    return found


def _text_column(raw: Any, at: int, array: Array) -> NDArray[Any]:
    """Return a column of an ASCII table, from the text of its rows."""
    column = raw.columns[at]
    records = raw.data.view(np.ndarray)
    texts = np.ascontiguousarray(records[records.dtype.names[at]]).view(f"S{_width(column)}")
    if array.dtype.kind == "S":
        return texts.astype(array.dtype)
    null = None if column.null is None else str(column.null).strip()
    values = [_number(text.decode("latin-1"), null, array) for text in texts.tolist()]
    return np.array(values, array.dtype)


def _width(column: Any) -> int:
    return int(re.findall(r"[0-9]+", str(column.format))[0])


def _number(text: str, null: str | None, array: Array) -> Any:
    """Return the number of a field, read by Python."""
    text = text.replace("\0", " ").strip()
    if null is not None and text == null:
        return array.attributes["_FillValue"] if array.dtype.kind == "i" else np.nan
    if array.dtype.kind == "i":
        return int(text or "0")
    config = next(c for c in (array.compressor, *array.filters) if c and "decimals" in c)
    mantissa, mark, exponent = (text or "0").upper().replace("D", "E").partition("E")
    if "." not in mantissa and config["decimals"]:
        exponent = str(int(exponent or 0) - config["decimals"])
        mark = "E"
    return float(mantissa + mark + exponent)
