"""Entries of image file directories: field types, and values by the thousand.

Implements "Image File Directory" of TIFF 6.0 (section 2) and its BigTIFF widening: an entry is
code, type, count, and either the values themselves or the offset where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ASCII", "TYPES", "Format", "IFDEntryColumns", "layouts"]

ASCII = 2
RATIONALS = (5, 10)

TYPES: dict[int, str] = {
    1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""Numpy type of each field type; the rationals (5, 10) are pairs of theirs."""

SIZES = np.zeros(65536, np.int64)
"""Bytes of one value of each field type; 0 for types that nobody knows."""
for _type, _dtype in TYPES.items():
    SIZES[_type] = np.dtype(_dtype).itemsize * (2 if _type in RATIONALS else 1)


class Format(NamedTuple):
    """How a file writes its directories.

    Parameters
    ----------
    byteorder : {"<", ">"}
        Of every number in the file.
    big : bool
        Whether it is BigTIFF: offsets and counts of 8 bytes.
    """

    byteorder: Literal["<", ">"]
    big: bool

    @property
    def lead(self) -> int:
        """Bytes of the number of entries, before them."""
        return 8 if self.big else 2

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return 20 if self.big else 12

    @property
    def word(self) -> int:
        """Bytes of an offset, of a count, and of the values that an entry can hold itself."""
        return 8 if self.big else 4

    def size(self, entries: int) -> int:
        """Bytes of a directory: its entries, their number, the offset of the next."""
        return self.lead + entries * self.entry + self.word

    def integer(self, data: bytes) -> int:
        """Return an unsigned integer."""
        return int.from_bytes(data, "little" if self.byteorder == "<" else "big")


@dataclass(frozen=True, slots=True, eq=False)
class IFDEntryColumns:
    """Directories that have the same tags of the same types, as columns.

    Parameters
    ----------
    pages : ndarray of int64, shape (m,)
        Their numbers.
    codes, types : ndarray of uint16, shape (k,)
        Tag and field type of each entry.
    counts : ndarray, shape (m, k)
        Number of values of each, unsigned.
    raw : ndarray of uint8, shape (m, k, word)
        The values, or their offset, as they lie in the file.
    words : ndarray, shape (m, k)
        The same as unsigned integers, to be compared only.
    same : ndarray of bool, shape (k,)
        Whether all of them have the same count, and the same values or offset.
    tail : ndarray of uint8, shape (m, t)
        Bytes that follow the directories.
    size : int
        Bytes of a directory.
    """

    pages: NDArray[np.int64]
    codes: NDArray[np.uint16]
    types: NDArray[np.uint16]
    counts: NDArray[Any]
    raw: NDArray[np.uint8]
    words: NDArray[Any]
    same: NDArray[np.bool_]
    tail: NDArray[np.uint8]
    size: int

    def find(self, code: int) -> int:
        """Return the position of a tag's first entry, -1 if there is none."""
        found = np.flatnonzero(self.codes == code)
        return int(found[0]) if found.size else -1


def layouts(
    rows: NDArray[np.uint8], numbers: NDArray[np.int64], size: int, form: Format
) -> list[IFDEntryColumns]:
    """Sort directories of equal length by the tags and types that they have.

    Parameters
    ----------
    rows : ndarray of uint8, shape (m, at least `size`)
        The bytes of each directory, and those that follow it.
    numbers : ndarray of int64, shape (m,)
        The page numbers.
    size : int
        Bytes of a directory.
    """
    entries = rows[:, form.lead : size - form.word].view(_entry(form))
    heads = entries["head"]
    if bool((heads == heads[0]).all()):
        return [_layout(rows, entries, numbers, size, form)]
    flat = np.ascontiguousarray(heads).view(f"V{heads.shape[1] * 4}").reshape(-1)
    _, kinds = np.unique(flat, return_inverse=True)
    order = np.argsort(kinds, kind="stable")
    edges = np.flatnonzero(np.diff(kinds[order])) + 1
    return [
        _layout(rows[part], entries[part], numbers[part], size, form)
        for part in np.split(order, edges)
    ]


def _entry(form: Format) -> np.dtype[Any]:
    word = form.word
    fields = {
        "head": ("u4", 0),
        "count": (f"{form.byteorder}u{word}", 4),
        "raw": (("u1", word), 4 + word),
        "word": (f"u{word}", 4 + word),
    }
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [at for _, at in fields.values()],
            "itemsize": form.entry,
        }
    )


def _layout(
    rows: NDArray[np.uint8],
    entries: NDArray[Any],
    numbers: NDArray[np.int64],
    size: int,
    form: Format,
) -> IFDEntryColumns:
    heads = np.ascontiguousarray(entries["head"][0]).view(f"{form.byteorder}u2").astype(np.uint16)
    counts, raw, words = (entries[name] for name in ("count", "raw", "word"))
    same = (counts == counts[0]).all(axis=0) & (words == words[0]).all(axis=0)
    return IFDEntryColumns(
        numbers, heads[::2], heads[1::2], counts, raw, words, same, rows[:, size:], size
    )
