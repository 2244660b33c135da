"""The header of NRRD files.

Implements "Definition of NRRD File Format" (teem), NRRD0001 to NRRD0005: the basic fields, those
about each axis, and those about space.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from refmaker.io.source import Source

__all__ = ["AXIS", "TEXTS", "Header", "read_header"]

AXIS = "nrrd_axis"
"""Attribute of a coordinate: the number of its axis in the file."""
TEXTS = ("ascii", "text", "txt", "hex")
"""Encodings that write data as text."""

_LIMIT = 1024**2
"""Bytes of a header."""
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}  # fmt: skip
_NUMPY = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_ORDERS = {"little": "<", "big": ">"}
_SAME = {
    "data file": "datafile", "line skip": "lineskip", "byte skip": "byteskip",
    "axis mins": "axismins", "axis maxs": "axismaxs", "sample units": "sampleunits",
}  # fmt: skip
"""Fields that have two spellings."""
_SPATIAL = ("domain", "space", "none", "???", "")
_VECTOR = re.compile(r"none|\(([^()]*)\)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Header:
    """A header.

    Parameters
    ----------
    fields : dict of str to str
        Fields as they are written, by their names in lower case.
    pairs : dict of str to str
        Key and value pairs of users.
    size : int
        Bytes of the header with the empty line behind it.
    url : str
        The file, for errors.
    files : tuple of str
        The lines behind ``data file: LIST``.
    """

    fields: dict[str, str]
    pairs: dict[str, str]
    size: int
    url: str
    files: tuple[str, ...] = ()

    @property
    def encoding(self) -> str:
        """How the data are written, in lower case."""
        return self.fields.get("encoding", "").lower()

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a field that is one integer.

        Raises
        ------
        FormatError
            If it is none.
        """
        if name not in self.fields and default is not None:
            return default
        try:
            return int(self._needed(name))
        except ValueError:
            raise self._wrong(name) from None

    def shape(self) -> tuple[int, ...]:
        """Return the extents, the fastest axis first.

        Raises
        ------
        FormatError
            If there are none, or not as many as dimensions.
        """
        try:
            sizes = tuple(int(text) for text in self._needed("sizes").split())
        except ValueError:
            raise self._wrong("sizes") from None
        if len(sizes) != self.whole("dimension") or min(sizes, default=-1) < 0 or len(sizes) > 16:
            raise self._wrong("sizes")
        return sizes

    def dtype(self) -> np.dtype[Any]:
        """Return the element type.

        Raises
        ------
        UnsupportedError
            If it is a block.
        FormatError
            If it is none, or its byte order is not told.
        """
        name = self._needed("type")
        if name not in _NUMPY:
            hint = "rewrite it with unu convert"
            raise UnsupportedError(
                f"its type is {name!r}", code="nrrd-type", url=self.url, hint=hint
            )
        dtype = np.dtype(_NUMPY[name])
        if dtype.itemsize == 1 or self.encoding in ("ascii", "text", "txt"):
            return dtype
        endian = self._needed("endian").lower()
        if endian not in _ORDERS:
            raise self._wrong("endian")
        return dtype.newbyteorder("<" if endian == "little" else ">")

    def numbers(self, name: str) -> list[float | None] | None:
        """Return a field that is a number for each axis, None for those that are not finite."""
        try:
            values = [float(text) for text in self.fields[name].split()]
        except (KeyError, ValueError):
            return None
        return [value if math.isfinite(value) else None for value in values]

    def words(self, name: str, rank: int) -> list[str] | None:
        """Return a field that is a word or a quoted text for each axis; None if it is not."""
        text = self.fields.get(name)
        if text is None:
            return None
        found = _QUOTED.findall(text) if '"' in text else text.split()
        return found if len(found) == rank else None

    def vectors(self, name: str) -> list[list[float] | None] | None:
        """Return a field that is a vector, or none, for each axis; None if it is not."""
        found: list[list[float] | None] = []
        for match in _VECTOR.finditer(self.fields.get(name, "")):
            if match[1] is None:
                found.append(None)
                continue
            try:
                vector = [float(part) for part in match[1].split(",")]
            except ValueError:
                return None
            found.append(vector if all(map(math.isfinite, vector)) else None)
        return found or None

    def axes(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the names of all axes, and which of them are spatial, the fastest first."""
        rank = len(self.shape())
        kinds = [kind.lower() for kind in self.words("kinds", rank) or [""] * rank]
        directions = self.vectors("space directions")
        if directions is not None and len(directions) == rank:
            spatial = tuple(axis for axis in range(rank) if directions[axis] is not None)
        else:
            spatial = tuple(axis for axis in range(rank) if kinds[axis] in _SPATIAL)
        labels = self.words("labels", rank) or [""] * rank
        names: list[str] = []
        for axis in range(rank):
            name = labels[axis]
            if not _NAME.match(name) or name == "data" or labels.count(name) > 1:
                at = spatial.index(axis) if axis in spatial else 3
                name = "xyz"[at] if at < 3 else f"axis{axis}"
            names.append(name if name not in names else f"axis{axis}")
        return tuple(names), spatial

    def _needed(self, name: str) -> str:
        if name not in self.fields:
            raise FormatError(f"the header has no field {name!r}", url=self.url)
        return self.fields[name]

    def _wrong(self, name: str) -> FormatError:
        return FormatError(f"its field {name} is {self.fields.get(name, '')!r}", url=self.url)


def read_header(source: Source) -> Header:
    """Return the header of a file.

    Raises
    ------
    FormatError
        If it is none of NRRD, or names a field twice.
    LimitError
        If it is larger than any real one.
    """
    raw = source.read_upto(0, 4096)
    if raw[:6] != b"NRRD00":
        raise FormatError("no NRRD file: it does not start with NRRD", url=source.url, offset=0)
    end = re.compile(rb"\n\r?\n")
    while (found := end.search(raw)) is None and len(raw) < source.size:
        if len(raw) >= _LIMIT:
            raise LimitError(f"a header of more than {_LIMIT} bytes", url=source.url)
        raw = source.read_upto(0, 4 * len(raw))
    size = len(raw) if found is None else found.end()
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    files: list[str] = []
    for line in raw[:size].decode("utf-8", "replace").split("\n")[1:]:
        text = line.rstrip()
        if fields.get("datafile", "").startswith("LIST"):
            files += [text] if text else []
            continue
        if not text or text.startswith("#"):
            continue
        name, mark, value = text.partition(":")
        if not mark:
            raise FormatError(f"a line of the header is {text[:40]!r}", url=source.url)
        if value.startswith("="):
            pairs[name.strip()] = value[1:].strip()
            continue
        name = name.strip().lower()
        name = _SAME.get(name, name)
        if name in fields:
            raise FormatError(f"the header has two fields {name!r}", url=source.url)
        fields[name] = value.strip()
    return Header(fields, pairs, size, source.url, tuple(files))
