"""Directories of remote files inferred from a sample, where somebody asked for it.

A stack of tens of thousands of pages with its directories between the data would have to be
read whole to see them all. Where they lie at equal distances and their entries differ by equal
steps, all are known from two; whether that holds is looked up in a sample with the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.tiff.blocks import read_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.ifd_entries import Format
    from refmaker.scanners.tiff.raw_directories import RawDirectories

__all__ = ["infer_ifds"]

SAMPLE = 48
"""Directories that are compared with what they were inferred to be."""
_LEAST = 1000
"""Directories below which all are read."""


def infer_ifds(pile: RawDirectories, after: int, step: int, size: int, tail: int) -> int:
    """Infer the rest of the main chain.

    Parameters
    ----------
    pile : RawDirectories
        Holds the directories so far; those inferred are added.
    after : int
        Offset of the next directory, the first to be inferred.
    step : int
        Distance from one to the next.
    size, tail : int
        Bytes of a directory, and of the values behind it.

    Returns
    -------
    int
        Where to go on: 0 if the rest was inferred, else `after`.
    """
    source, form = pile.source, pile.form
    most = (source.size - after - size - tail) // step + 1
    if most < _LEAST:
        return after
    known = np.array([after - 2 * step, after - step])
    model = _Model(read_rows(source, known, size + tail), step, size, form)
    if not model.regular:
        return after
    count = _count(pile, model, after, step, most)
    if count < _LEAST:
        return after
    chosen = np.random.default_rng(count).choice(count - 1, min(SAMPLE, count - 1), replace=False)
    chosen = np.sort(np.append(chosen, count - 1))
    rows = read_rows(source, after + step * chosen, size + tail)
    if not np.array_equal(rows, model.rows(chosen, last=count - 1)):
        return after
    for start in range(0, count, 8192):
        part = np.arange(start, min(start + 8192, count))
        pile.add_run(after + step * start, step, model.rows(part, last=count - 1), size)
    pile.inferred += count
    return 0


def _count(pile: RawDirectories, model: _Model, after: int, step: int, most: int) -> int:
    """Return how many directories follow that look like it: by bisection."""

    def fits(number: int) -> bool:
        row = read_rows(pile.source, np.array([after + step * number]), model.width)
        return model.alike(row, np.array([number]))

    if fits(most - 1):
        return most
    low, high = 0, most - 1
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            low = middle + 1
        else:
            high = middle
    return low


class _Model:
    """What a directory must be, from the two before the first that is inferred.

    Parameters
    ----------
    known : ndarray of uint8, shape (2, size + tail)
        Those two.
    step, size : int
        Distance between directories, bytes of one.
    form : Format
        Of the file.

    Attributes
    ----------
    regular : bool
        Whether the two differ in nothing but what entries hold or point to.
    width : int
        Bytes of a row.
    """

    def __init__(self, known: NDArray[np.uint8], step: int, size: int, form: Format) -> None:
        self._form, self._size, self._step = form, size, step
        self.width = known.shape[1]
        self._bytes = known[1]
        before, self._fields = (
            self._views(known[i : i + 1])[0][0].astype(np.int64) for i in (0, 1)
        )
        self._growth = self._fields - before
        self._next = int(self._views(known[1:])[1][0, 0])
        self.regular = self.alike(known[:1], np.array([-2]))

    def _views(self, rows: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return what the entries of some rows hold, and what comes next, as views."""
        form, end = self._form, self._size - self._form.word
        word = f"{form.byteorder}u{form.word}"
        entry = np.dtype([("head", f"V{form.entry - form.word}"), ("field", word)])
        return rows[:, form.lead : end].view(entry)["field"], rows[:, end : self._size].view(word)

    def rows(self, numbers: NDArray[np.int64], last: int) -> NDArray[np.uint8]:
        """Return what directories must be, counted from the first that is inferred."""
        found = np.repeat(self._bytes[None], numbers.size, axis=0)
        fields, onward = self._views(found)
        fields[:] = self._fields + self._growth * (numbers + 1)[:, None]
        onward[:, 0] = np.where(numbers == last, 0, self._next + self._step * (numbers + 1))
        return found

    def alike(self, rows: NDArray[np.uint8], numbers: NDArray[np.int64]) -> bool:
        """Tell whether directories are what they must be, wherever they lead to."""
        true, found = rows.copy(), self.rows(numbers, -1)
        for each in (true, found):
            self._views(each)[1][:] = 0
        return bool(np.array_equal(true, found))
