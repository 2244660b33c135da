"""Conversion of HDF5 datatypes that numpy cannot name."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, deliver, input_bytes, library
from refmaker.errors import CodecError, MetadataError

__all__ = ["HDF5Convert", "null_padded"]


class HDF5Convert(DecodeOnly):
    """Elements of any HDF5 number type, converted by HDF5 itself.

    For floats with an unusual layout, integers of three bytes and the like, and for texts that
    end before their field does. h5py is needed to read them.

    Parameters
    ----------
    type : str
        The datatype in the file as ``H5Tencode`` gives it, base64.
    dtype : str
        numpy type string to convert to, such as ``"<f4"``; of records ``"|V24"``, their texts
        filled up with zeros, all else as it is.
    """

    codec_id = "refmaker.hdf5_convert"
    fields = ("type", "dtype")

    def __init__(self, type: str, dtype: str) -> None:  # noqa: A002 - the name in the JSON
        try:
            self._encoded = base64.b64decode(type, validate=True)
        except (binascii.Error, TypeError) as error:
            raise MetadataError(f"{self.codec_id}: the datatype is not base64") from error
        target = np.dtype(dtype)
        if target.kind not in "iufcSV" or target.names is not None:
            raise MetadataError(f"{self.codec_id}: {dtype!r} is no type of numbers or strings")
        self.type = type
        self.dtype = target.str

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Convert the elements of one chunk."""
        h5t = library("h5py.h5t")
        raw = input_bytes(buf)
        try:
            source = h5t.decode(self._encoded)
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: no HDF5 datatype: {error}") from error
        before, target = source.get_size(), np.dtype(self.dtype)
        if target.kind == "S" and (source.get_class() != h5t.STRING or source.is_variable_str()):
            raise CodecError(f"{self.codec_id}: not strings of fixed length")
        if before == 0 or raw.size % before:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes are no whole number of elements")
        count = raw.size // before
        # H5Tconvert works in place: the buffer has to hold the elements before and after.
        work = np.zeros(count * max(before, target.itemsize), np.uint8)
        work[: raw.size] = raw
        try:
            h5t.convert(source, _memory_type(h5t, source, target), count, work)
        except (RuntimeError, TypeError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        return deliver(self.codec_id, work[: count * target.itemsize], out)


def _memory_type(h5t: Any, source: Any, target: np.dtype[Any]) -> Any:
    """Return HDF5's type of the converted elements."""
    if target.kind == "V":
        if source.get_class() != h5t.COMPOUND or source.get_size() != target.itemsize:
            raise CodecError(f"{HDF5Convert.codec_id}: not records of {target.itemsize} bytes")
        return null_padded(source)
    kind = h5t.py_create(target)
    if target.kind == "S":
        # Between character sets there is no conversion.
        kind.set_cset(source.get_cset())
    return kind


def null_padded(kind: Any) -> Any:
    """Return an HDF5 datatype with all texts in it filled up with zeros, as numpy has them.

    Parameters
    ----------
    kind : h5py.h5t.TypeID
        A datatype; records in it keep the places of their members.

    Raises
    ------
    CodecError
        If values of it lie elsewhere: its bytes are addresses, which mean nothing here.
    """
    h5t = library("h5py.h5t")
    of = kind.get_class()
    if of in (h5t.VLEN, h5t.REFERENCE) or (of == h5t.STRING and kind.is_variable_str()):
        raise CodecError(f"{HDF5Convert.codec_id}: values that lie elsewhere")
    if of == h5t.STRING:
        padded = kind.copy()
        padded.set_strpad(h5t.STR_NULLPAD)
        return padded
    if of == h5t.ARRAY:
        return h5t.array_create(null_padded(kind.get_super()), kind.get_array_dims())
    if of != h5t.COMPOUND:
        return kind
    padded = h5t.create(h5t.COMPOUND, kind.get_size())
    for i in range(kind.get_nmembers()):
        member = null_padded(kind.get_member_type(i))
        padded.insert(kind.get_member_name(i), kind.get_member_offset(i), member)
    return padded
