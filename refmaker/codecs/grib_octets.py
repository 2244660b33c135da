"""Octets of a grid definition section, numbered from 1 as in the specification."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SectionReader"]

_MISSING = 0xFFFFFFFF


class SectionReader:
    """The octets of a section.

    Parameters
    ----------
    section : bytes
        The section, with its header.
    edition : {1, 2}
        Edition of GRIB, which says how long the length is.

    Raises
    ------
    FormatError
        If the section is shorter than its length says, now and when octets are read.
    """

    def __init__(self, section: bytes, edition: int) -> None:
        self.section = bytes(section)
        size = 3 if edition == 1 else 4
        length = self.number(1, size)
        if length > len(section):
            raise FormatError(f"a grid definition of {length} bytes, {len(section)} are there")
        self.section = self.section[:length]

    def bytes(self, octet: int, size: int) -> bytes:
        """Return octets as they are."""
        found = self.section[octet - 1 : octet - 1 + size]
        if octet < 1 or len(found) < size:
            raise FormatError(
                f"a grid definition of {len(self.section)} bytes without octet {octet + size - 1}"
            )
        return found

    def byte(self, octet: int) -> int:
        """Return one octet."""
        return self.bytes(octet, 1)[0]

    def number(self, octet: int, size: int) -> int:
        """Return an unsigned integer."""
        return int.from_bytes(self.bytes(octet, size), "big")

    def signed(self, octet: int, size: int) -> int:
        """Return an integer whose first bit is its sign."""
        number = self.number(octet, size)
        sign = 1 << (8 * size - 1)
        return -(number - sign) if number & sign else number

    def float32(self, octet: int) -> float:
        """Return an IEEE number of four octets."""
        (value,) = struct.unpack(">f", self.bytes(octet, 4))
        return float(value)

    def ibm(self, octet: int) -> float:
        """Return a number of four octets in IBM's form (regulation 92.6.4 of edition 1)."""
        word = self.number(octet, 4)
        value = (word & 0xFFFFFF) * 16.0 ** ((word >> 24 & 0x7F) - 70)
        return -value if word & 0x80000000 else value

    def scaled(self, octet: int) -> float:
        """Return a number of an octet that counts decimals and four octets."""
        decimals, number = self.signed(octet, 1), self.number(octet + 1, 4)
        return number / 10.0**decimals if number != _MISSING else 0.0

    def row_lengths(self, rows: int, size: int, octet: int | None = None) -> NDArray[np.int64]:
        """Return the numbers of points of each row.

        Parameters
        ----------
        size : int
            Octets of each.
        octet : int, optional
            Where they begin; without it they end with the section.
        """
        if size not in (1, 2, 4) or not 0 < rows <= len(self.section) // size:
            raise FormatError(f"{rows} lengths of rows, of {size} octets each")
        begin = len(self.section) - rows * size + 1 if octet is None else octet
        found = np.frombuffer(self.bytes(begin, rows * size), f">u{size}")
        return found.astype(np.int64)
