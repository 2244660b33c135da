"""Messages of the plainest layout, walked many at a time.

Most messages of edition 2 hold one field: sections 1 and 3 to 7, of which all but the data lie in
the first bytes. Where such messages follow one another in memory, their headers are taken apart as
the rows of a matrix. Whatever is otherwise in any way is left to `refmaker.scanners.grib.walk`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.spans import HEADER

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "END",
    "IMAGES",
    "MARK",
    "NO_BITMAP",
    "PLAIN",
    "UNSTRUCTURED",
    "PlainHeaders",
    "chained",
    "plain_headers",
]

MARK, END = b"GRIB", b"7777"
NO_BITMAP = 255
"""Bitmap indicator of a message without one (code table 6.0)."""
PLAIN = (1, 3, 4, 5, 6, 7)
"""The sections of most messages."""
IMAGES = frozenset({40, 41, 40000, 40010})
"""Packings that are images, JPEG 2000 and PNG, of which some bytes of the data matter, too."""
UNSTRUCTURED = b"\0\x65"
"""Octets 13 and 14 of section 3 of a grid whose places lie in another file (template 3.101)."""
_LEAST = 21
"""Bytes of a message with a section."""
_NUMBERS = {1: 7, 3: 14, 4: 9, 5: 11, 6: 5, 7: 5}
"""Octets of each section that are looked at here."""


class PlainHeaders(NamedTuple):
    """What stands in the headers of messages, a row for each.

    Parameters
    ----------
    heads : ndarray of uint8, shape (n, HEADER)
        Their first bytes.
    starts, sizes : dict of int to ndarray of int64, shape (n,)
        By the number of a section: where it begins in the message, and its bytes.
    template : ndarray of int64, shape (n,)
        Product definition template.
    packing : ndarray of int64, shape (n,)
        Data representation template.
    indicator : ndarray of uint8, shape (n,)
        Bitmap indicator.
    """

    heads: NDArray[np.uint8]
    starts: dict[int, NDArray[np.int64]]
    sizes: dict[int, NDArray[np.int64]]
    template: NDArray[np.int64]
    packing: NDArray[np.int64]
    indicator: NDArray[np.uint8]

    def octets(self, section: int, first: int, count: int) -> NDArray[np.uint8]:
        """Return octets of a section, shape (n, count); what follows it where it is shorter.

        Parameters
        ----------
        section : int
            Its number.
        first : int
            The first octet, counted from 0.
        count : int
            How many.
        """
        return _octets(self.heads, self.starts[section] + first, count)


def _octets(heads: NDArray[np.uint8], at: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    first = int(at[0])
    if first + count <= HEADER and (at == first).all():
        return heads[:, first : first + count]
    places = np.minimum(at[:, None] + np.arange(count), HEADER - 1)
    return np.take_along_axis(heads, places, axis=1)


def _number(heads: NDArray[np.uint8], at: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return numbers of 2 or 4 octets, shape (n,)."""
    octets = np.ascontiguousarray(_octets(heads, at, count))
    return octets.view(f">u{count}")[:, 0].astype(np.int64)


def chained(block: bytes, at: int, stop: int) -> list[int]:
    """Return where whole messages of edition 2 begin that follow one another.

    Parameters
    ----------
    block : bytes
        Bytes of a file.
    at : int
        Where in them the first one begins.
    stop : int
        Where no message is wanted any more.

    Returns
    -------
    list of int
        Where each begins whose first `HEADER` bytes are there, and where the last one ends.
    """
    found = [at]
    last = min(stop, len(block) - HEADER + 1)
    while at < last and block[at : at + 4] == MARK and block[at + 7] == 2:
        end = at + int.from_bytes(block[at + 8 : at + 16], "big")
        if not at + _LEAST <= end <= len(block) or block[end - 4 : end] != END:
            break
        found.append(end)
        at = end
    return found


def plain_headers(block: bytes, begins: list[int]) -> PlainHeaders:
    """Return the headers of the first messages of a chain, up to one that is not plain.

    Parameters
    ----------
    block, begins
        As `chained` takes and returns them.
    """
    text = b"".join([block[at : at + HEADER] for at in begins[:-1]])
    heads = np.frombuffer(text, np.uint8).reshape(-1, HEADER)
    good = np.ones(len(heads), bool)
    starts, sizes = {}, {}
    at = np.full(len(heads), 16)
    for number in PLAIN:
        good &= at + 5 <= HEADER
        size = _number(heads, at, 4)
        good &= (_octets(heads, at + 4, 1)[:, 0] == number) & (size >= _NUMBERS[number])
        starts[number], sizes[number] = at, size
        at = at + size
    good &= at + 4 == np.diff(begins)
    packing = _number(heads, starts[5] + 9, 2)
    good &= ~np.isin(packing, tuple(IMAGES))
    # Vertical coordinates, and grids on which names depend, are looked at one by one.
    good &= _number(heads, starts[4] + 5, 2) == 0
    good &= (_octets(heads, starts[3] + 12, 2) != np.frombuffer(UNSTRUCTURED, np.uint8)).any(axis=1)
    count = len(heads) if good.all() else int(good.argmin())
    template = _number(heads, starts[4] + 7, 2)
    indicator = np.where(sizes[6] > 5, _octets(heads, starts[6] + 5, 1)[:, 0], NO_BITMAP)
    return PlainHeaders(
        heads[:count],
        {number: column[:count] for number, column in starts.items()},
        {number: column[:count] for number, column in sizes.items()},
        template[:count],
        packing[:count],
        indicator[:count].astype(np.uint8),
    )
