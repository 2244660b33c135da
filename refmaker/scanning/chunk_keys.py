"""Keys of chunks, as positions in the chunk grid and back, by column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ChunkKeys", "Placed"]

_NUMBER = r"(?:0|[1-9][0-9]{0,17}+)"


class Placed(NamedTuple):
    """Which of some keys are those of chunks.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Positions of those keys.
    at : ndarray of int64, shape (n, rank)
        Their places in the chunk grid.
    strays : list of str
        Keys that are none.
    """

    row: NDArray[np.int64]
    at: NDArray[np.int64]
    strays: list[str]


class ChunkKeys(NamedTuple):
    """How an array's chunks are called.

    Parameters
    ----------
    rank : int
        Dimensions of the array.
    separator : {".", "/"}
        What stands between numbers.
    prefix : str
        What stands before them.
    scalar : str
        The one key of an array without dimensions.
    """

    rank: int
    separator: str
    prefix: str = ""
    scalar: str = "0"

    def key(self, at: Sequence[int]) -> str:
        """Return the key of a chunk."""
        return self.prefix + self.separator.join(map(str, at)) if self.rank else self.scalar

    def place(self, keys: Sequence[str], folder: str = "") -> Placed:
        """Return the places of keys in the chunk grid.

        Parameters
        ----------
        keys : sequence of str
            Keys, or anything else.
        folder : str
            What stands before all of them, as keys of a store begin with the array's path.
        """
        prefix = folder + self.prefix
        number = re.escape(self.separator) + _NUMBER
        one = re.escape(prefix) + _NUMBER + number * (self.rank - 1)
        one = one if self.rank else re.escape(folder + self.scalar)
        text = "\n" + "\n".join(keys)
        lines = (1 + folder.count("\n")) * len(keys)
        if text.count("\n") == lines and re.fullmatch(f"(?:\n{one})*+", text):
            return self._parsed(np.arange(len(keys)), prefix, text, [])
        fits = re.compile(one).fullmatch
        good = [row for row, key in enumerate(keys) if fits(key)]
        strays = [key for key in keys if not fits(key)]
        text = "\n" + "\n".join(keys[row] for row in good) if good else ""
        return self._parsed(np.array(good, np.int64), prefix, text, strays)

    def _parsed(self, row: NDArray[np.int64], prefix: str, text: str, strays: list[str]) -> Placed:
        if not self.rank:
            return Placed(row, np.zeros((row.size, 0), np.int64), strays)
        if prefix:
            text = text.replace("\n" + prefix, "\n")
        text = text.replace(self.separator, " ")
        numbers = np.fromstring(text, np.int64, sep=" ") if row.size else np.zeros(0, np.int64)
        return Placed(row, numbers.reshape(row.size, self.rank), strays)
