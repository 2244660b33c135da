"""The header of ENVI files: a text of fields, values in braces over several lines.

Implements "ENVI Header Files" (NV5 Geospatial documentation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from refmaker.io.source import Source

__all__ = ["ENDINGS", "Header", "read_header"]

ENDINGS = ("", ".img", ".dat", ".sli", ".hyspex", ".raw", ".bin")
"""Endings of the names of data files, beside the interleave."""

_LIMIT = 16 * 1024**2
"""Bytes of a header; hyperspectral ones list every band several times."""
_TYPES = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8",
    15: "u8",
}  # fmt: skip
_INTERLEAVES = {
    "bsq": ("band", "y", "x"),
    "bil": ("y", "band", "x"),
    "bip": ("y", "x", "band"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """A header.

    Parameters
    ----------
    fields : dict of str to str or list of str
        Values by names in lower case; those in braces as lists, but for the description.
    url : str
        The file, for errors.
    """

    fields: dict[str, str | list[str]]
    url: str

    def text(self, name: str) -> str:
        """Return a field that is one text.

        Raises
        ------
        FormatError
            If it is not there, or is a list.
        """
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise FormatError(f"the header has no field {name!r}", url=self.url)
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a field that is one integer, 0 or more.

        Raises
        ------
        FormatError
            If it is none.
        """
        if default is not None and name not in self.fields:
            return default
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise FormatError(f"its field {name!r} is {text[:40]!r}", url=self.url)
        return int(text)

    def words(self, name: str) -> list[str]:
        """Return a field that is a list; empty if it is not there."""
        value = self.fields.get(name, [])
        return value if isinstance(value, list) else [value]

    def numbers(self, name: str) -> list[float] | None:
        """Return a field that is a list of finite numbers; None if it is not."""
        try:
            values = [float(word) for word in self.words(name)]
        except ValueError:
            return None
        return values if values and all(map(math.isfinite, values)) else None

    @property
    def interleave(self) -> str:
        """Order of bands, lines and samples: bsq, bil or bip."""
        return self.text("interleave").lower()

    @property
    def library(self) -> bool:
        """Whether it is a spectral library: a spectrum each line."""
        return self.fields.get("file type") == "ENVI Spectral Library"

    def shape(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the shape in the order of the file, and the names of its dimensions.

        Raises
        ------
        FormatError
            If a field that tells them is missing or wrong.
        """
        extents = {"x": self.whole("samples"), "y": self.whole("lines")}
        extents["band"] = self.whole("bands")
        if self.library:
            if extents["band"] != 1:
                told = f"a spectral library of {extents['band']} bands"
                raise FormatError(told, url=self.url)
            return (extents["y"], extents["x"]), ("spectrum", "band")
        names = _INTERLEAVES.get(self.interleave)
        if names is None:
            raise FormatError(f"its interleave is {self.interleave[:40]!r}", url=self.url)
        return tuple(extents[name] for name in names), names

    def dtype(self) -> np.dtype[Any]:
        """Return the element type.

        Raises
        ------
        FormatError
            If type or byte order are missing or wrong.
        UnsupportedError
            If ENVI has no such type.
        """
        code, order = self.whole("data type"), self.whole("byte order")
        if code not in _TYPES:
            raise UnsupportedError(f"its data type is {code}", code="envi-data-type", url=self.url)
        if order not in (0, 1):
            raise FormatError(f"its byte order is {order}", url=self.url)
        return np.dtype(_TYPES[code]).newbyteorder(">" if order else "<")

    def check(self) -> None:
        """Refuse what lies in no single block.

        Raises
        ------
        UnsupportedError
            For compressed files, and for bytes between lines or bands.
        """
        if self.whole("file compression", 0):
            hint = "save it without compression"
            told = "it is compressed"
            raise UnsupportedError(told, code="envi-compressed", url=self.url, hint=hint)
        for name in ("major frame offsets", "minor frame offsets"):
            words = self.words(name)
            if any(word not in ("", "0") for word in words):
                told = f"its {name} are {', '.join(words)[:40]}"
                hint = "save it without offsets"
                raise UnsupportedError(told, code="envi-frame-offsets", url=self.url, hint=hint)


def read_header(source: Source) -> Header:
    """Return the header of a file.

    Raises
    ------
    FormatError
        If it is none of ENVI, names a field twice, or ends within braces.
    LimitError
        If it is larger than any real one.
    """
    if source.size > _LIMIT:
        raise LimitError(f"a header of {source.size} bytes", url=source.url)
    raw = source.read(0, source.size)
    try:
        lines = raw.decode().splitlines()
    except UnicodeDecodeError:
        lines = raw.decode("latin-1").splitlines()
    if not lines or lines[0].rstrip() != "ENVI":
        told = "no header of ENVI: its first line does not say so"
        raise FormatError(told, url=source.url, offset=0)
    return Header(_fields(lines[1:], source.url), source.url)


def _fields(lines: list[str], url: str) -> dict[str, str | list[str]]:
    """Return the fields of a header's lines."""
    fields: dict[str, str | list[str]] = {}
    rest = iter(lines)
    for line in rest:
        name, mark, value = line.partition("=")
        if not mark or line.startswith(";"):
            continue
        name, value = " ".join(name.lower().split()), value.strip()
        if name in fields:
            raise FormatError(f"the header has two fields {name!r}", url=url)
        if not value.startswith("{"):
            fields[name] = value
            continue
        parts = [value]
        while not parts[-1].endswith("}"):
            more = next(rest, None)
            if more is None:
                raise FormatError(f"its field {name!r} does not end", url=url)
            if not more.startswith(";"):
                parts.append(more.strip())
        inner = "\n".join(parts)[1:-1].strip()
        listed = [word.strip() for word in inner.split(",")]
        fields[name] = inner if name in ("description", "coordinate system string") else listed
    return fields
