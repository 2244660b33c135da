"""The header of MRC files.

Implements the MRC2014 format (Cheng et al., J. Struct. Biol. 192, 2015, table 1), and the two words
by which IMOD says whether its bytes are signed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from refmaker.scanning.compressed_file import UnpackedHead

__all__ = ["Header", "read_header"]

SIZE = 1024
_LAYOUT = np.dtype(
    [
        ("n", "i4", 3), ("mode", "i4"), ("nstart", "i4", 3), ("m", "i4", 3),
        ("lengths", "f4", 3), ("angles", "f4", 3), ("axes", "i4", 3),
        ("dmin", "f4"), ("dmax", "f4"), ("dmean", "f4"), ("ispg", "i4"), ("nsymbt", "i4"),
        ("extra1", "V8"), ("exttyp", "S4"), ("nversion", "i4"), ("extra2", "V40"),
        ("imod_stamp", "i4"), ("imod_flags", "i4"), ("extra3", "V36"), ("origin", "f4", 3),
        ("map", "S4"), ("machst", "V4"), ("rms", "f4"), ("nlabl", "i4"), ("labels", "S80", 10),
    ]
)  # fmt: skip
_MODES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
_REFUSED = {
    3: "complex 16-bit integers", 16: "RGB of an older IMOD", 101: "two values a byte",
}  # fmt: skip
_IMOD = 1146047817
_SIGNED, _HALF = 1, 16


@dataclass(frozen=True, slots=True)
class Header:
    """A header.

    Parameters
    ----------
    order : {"<", ">"}
        Byte order of header and data.
    fields : numpy.void
        The fields.
    url : str
        The file, for errors.
    """

    order: Literal["<", ">"]
    fields: Any
    url: str

    @property
    def size(self) -> int:
        """Bytes before the extended header."""
        return SIZE

    @property
    def offset(self) -> int:
        """First byte of the data.

        Raises
        ------
        FormatError
            If the extended header has less than no bytes.
        """
        extended = int(self.fields["nsymbt"])
        if extended < 0:
            raise FormatError(f"an extended header of {extended} bytes", url=self.url, offset=92)
        return SIZE + extended

    def dtype(self) -> np.dtype[Any]:
        """Return the element type.

        Raises
        ------
        UnsupportedError
            If numpy has none for the mode.
        """
        mode = int(self.fields["mode"])
        flags = int(self.fields["imod_flags"]) if int(self.fields["imod_stamp"]) == _IMOD else None
        half = mode == 0 and flags is not None and flags & _HALF
        if mode not in _MODES or half:
            told = _REFUSED.get(101 if half else mode, "which MRC2014 does not know")
            raise UnsupportedError(
                f"its mode is {mode}, {told}",
                code="mrc-mode",
                url=self.url,
                offset=12,
                hint="rewrite it with IMOD: newstack -mode 2",
            )
        if mode == 0 and flags is not None and not flags & _SIGNED:
            return np.dtype("u1")
        return np.dtype(_MODES[mode]).newbyteorder(self.order)

    def shape(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the shape in C order, and the names of its dimensions.

        Raises
        ------
        FormatError
            If there can be no such array.
        """
        columns, rows, sections = (int(extent) for extent in self.fields["n"])
        if min(columns, rows, sections) < 0:
            found = (columns, rows, sections)
            raise FormatError(f"its extents are {found}", url=self.url, offset=0)
        axes = [int(axis) for axis in self.fields["axes"]]
        known = sorted(axes) == [1, 2, 3]
        names = tuple("xyz"[axis - 1] for axis in (reversed(axes) if known else (3, 2, 1)))
        group = int(self.fields["ispg"])
        if 401 <= group <= 630:
            deep = int(self.fields["m"][2])
            if deep < 1 or sections % deep:
                told = f"a stack of {sections} sections in volumes of {deep}"
                raise FormatError(told, url=self.url, offset=36)
            return (sections // deep, deep, rows, columns), ("volume", *names)
        if group == 0 and sections == 1:
            return (rows, columns), names[1:]
        return (sections, rows, columns), names

    def voxel_size(self) -> list[float] | None:
        """Return the distances of samples along x, y and z in angstrom; None if not told."""
        lengths = np.array(self.fields["lengths"], np.float64)
        samples = np.array(self.fields["m"], np.float64)
        told = bool(np.all(np.isfinite(lengths) & (lengths > 0) & (samples > 0)))
        return (lengths / samples).tolist() if told else None

    def labels(self) -> list[str]:
        """Return the labels that are in use, as Latin-1."""
        count = min(max(int(self.fields["nlabl"]), 0), 10)
        texts = (bytes(label).decode("latin-1") for label in self.fields["labels"][:count])
        return [text.partition("\0")[0].rstrip() for text in texts]


def read_header(head: UnpackedHead, url: str) -> Header:
    """Return the header of a file.

    Raises
    ------
    FormatError
        If it is none of MRC, or its byte order is not known.
    TruncatedError
        If the file ends inside of it.
    """
    raw = head.read(0, SIZE)
    if raw[208:211] != b"MAP":
        raise FormatError("no MRC file: it does not say MAP", url=url, offset=208)
    stamp = raw[212:214]
    order: Literal["<", ">"]
    if stamp in (b"\x44\x44", b"\x44\x41"):
        order = "<"
    elif stamp == b"\x11\x11":
        order = ">"
    else:
        modes = [struct.unpack_from(f"{order}i", raw, 12)[0] for order in "<>"]
        told = f"the machine stamp {stamp.hex(' ')} is none; the mode would be {modes[0]} in"
        raise FormatError(
            f"{told} little-endian and {modes[1]} in big-endian order",
            url=url,
            offset=212,
            hint="write the stamp 44 44 for little-endian or 11 11 for big-endian files",
        )
    return Header(order, np.frombuffer(raw, _LAYOUT.newbyteorder(order))[0], url)
