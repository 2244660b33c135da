"""Texts of a document by number, whole columns of them at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import MetadataError
from refmaker.storage.json_windows import PAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.storage.json_windows import Window

__all__ = ["NumberedTexts"]

_KEPT = 1 << 16
"""Texts that columns are compared with; further ones are looked up one by one."""
_WIDEST = PAD - 8
"""Bytes of the longest of them."""
_SLOT_BITS = 18
_FACTOR, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_SLOT = np.uint64(64 - _SLOT_BITS)


def _words(
    window: Window, start: NDArray[np.int64], width: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return texts as words, shape (words, n); what is behind the end of one is 0."""
    count = max(1, -(-int(width.max(initial=0)) // 8))
    shape = (window.bytes.size - 8 * count + 1,)
    # One copy of all bytes of a text is a third of the work of one for each word.
    texts: NDArray[np.void] = np.ndarray(shape, f"V{8 * count}", window.bytes.data, strides=(1,))
    words = np.ascontiguousarray(texts[start].view("<u8").reshape(start.size, count).T)
    for number in range(max(int(width.min(initial=0)) // 8, 0), count):
        unused = ((8 - np.clip(width - 8 * number, 0, 8)) << 3).astype(np.uint64)
        words[number] <<= unused
        words[number] >>= unused
    return words


class NumberedTexts:
    """Distinct insides of JSON strings, numbered as they come.

    A text that was seen is found by a hash, and is then compared with the one that was: equal
    numbers mean equal texts.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._slots = np.full(1 << _SLOT_BITS, -1, np.int32)
        self._width = np.full(_KEPT, -1, np.int64)
        self._words = np.zeros((1, _KEPT), np.uint64)

    def __len__(self) -> int:
        return len(self._known)

    def number(self, text: bytes) -> int:
        """Return the number of one text."""
        return self._known.setdefault(text, len(self._known))

    def numbers(
        self, window: Window, start: NDArray[np.int64], width: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the numbers of texts in a window.

        Parameters
        ----------
        window : Window
        start, width : ndarray of int64, shape (n,)
            Where they are.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        found = np.full(start.size, -1, np.int32)
        narrow = np.flatnonzero(width <= _WIDEST)
        if narrow.size == start.size:
            self._together(window, start, width, found)
        elif narrow.size:
            some = found[narrow]
            self._together(window, start[narrow], width[narrow], some)
            found[narrow] = some
        missing = np.flatnonzero(found < 0)
        if missing.size:
            texts = _texts(window, start[missing], width[missing])
            found[missing] = [self.number(text) for text in texts]
        return found

    def _together(
        self,
        window: Window,
        start: NDArray[np.int64],
        width: NDArray[np.int64],
        found: NDArray[np.int32],
    ) -> None:
        """Fill in the numbers of texts that can be compared with those that are kept."""
        words = _words(window, start, width)
        code = width.astype(np.uint64)
        for word in words:
            code ^= word
            code *= _FACTOR
            code ^= code >> _HALF
        slot = (code * _FACTOR >> _SLOT).astype(np.int64)
        found[:] = self._lookup(words, width, slot)
        missing = np.flatnonzero(found < 0)
        if missing.size and len(self._known) < _KEPT:
            heads = np.sort(missing[np.unique(code[missing], return_index=True)[1]])
            texts = _texts(window, start[heads], width[heads])
            number = np.array([self.number(text) for text in texts], np.int32)
            kept = number < _KEPT
            self._keep(number[kept], words[:, heads[kept]], width[heads[kept]])
            self._slots[slot[heads[kept]]] = number[kept]
            found[missing] = self._lookup(words[:, missing], width[missing], slot[missing])

    def _lookup(
        self, words: NDArray[np.uint64], width: NDArray[np.int64], slot: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Return the numbers of texts that are kept, -1 for others."""
        found = self._slots[slot]
        same = found >= 0
        same &= self._width[found] == width
        for ours, word in zip(self._words, words, strict=False):
            same &= ours[found] == word
        return np.where(same, found, np.int32(-1))

    def _keep(
        self, number: NDArray[np.int32], words: NDArray[np.uint64], width: NDArray[np.int64]
    ) -> None:
        """Keep texts that others can be compared with."""
        missing = words.shape[0] - self._words.shape[0]
        if missing > 0:
            more = np.zeros((missing, _KEPT), np.uint64)
            self._words = np.concatenate([self._words, more])
        self._words[: words.shape[0], number] = words
        self._width[number] = width

    def decoded(self) -> list[str]:
        """Return what the texts mean, by number.

        Raises
        ------
        MetadataError
            If one is no JSON string.
        """
        joined = b'"'.join(self._known)
        try:
            text = joined.decode()
            if "\\" not in text and text.isprintable():
                return text.split('"') if self._known else []
            return [_meaning(one) for one in self._known]
        except ValueError as error:
            raise MetadataError(f"not JSON: {error}") from error


def _texts(window: Window, start: NDArray[np.int64], width: NDArray[np.int64]) -> list[bytes]:
    """Return texts of a window one by one."""
    data = window.bytes.data
    ends = (start + width).tolist()
    return [data[a:b].tobytes() for a, b in zip(start.tolist(), ends, strict=True)]


def _meaning(quoted: bytes) -> str:
    text = quoted.decode()
    plain = "\\" not in text and text.isprintable()
    return text if plain else str(json.loads(f'"{text}"'))
