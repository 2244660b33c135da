"""Where messages lie in a file, found by their marks alone, and ecCodes' handles of their fields.

This is the oracle's own reading: it shares nothing with the walk of a scan. A message that is
damaged is no message here, and hides none that follows it.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Messages", "messages_of"]

_MARK, _END = b"GRIB", b"7777"
_LARGE = 0x800000
"""Flag in the length of a message of edition 1: the rest counts units of 120 bytes."""


class Messages:
    """The messages of a file."""

    def __init__(self, eccodes: Any, path: str) -> None:
        self._eccodes = eccodes
        self._path = path
        self._starts: list[int] = []
        self._ends: list[list[int]] = []
        if os.path.getsize(path):
            with (
                open(path, "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                self._find(data)

    def _find(self, data: mmap.mmap) -> None:
        at = data.find(_MARK)
        while at >= 0:
            stop, ends = _message(data, at)
            if ends:
                self._starts.append(at)
                self._ends.append(ends)
            at = data.find(_MARK, stop)

    def piece(self, offset: int, length: int) -> bytes:
        """Return a piece of the file."""
        with open(self._path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield where the message of each field begins, and the field's number in it, from 1."""
        for start, ends in zip(self._starts, self._ends, strict=True):
            for number in range(1, len(ends) + 1):
                yield start, number

    def find(self, offset: int, length: int) -> tuple[int, int]:
        """Return where the message of a chunk begins, and the number of the field in it.

        Raises
        ------
        FormatError
            If the bytes are no message, and no field of a message ends with them.
        """
        at = bisect_right(self._starts, offset) - 1
        if at >= 0:
            start, ends = self._starts[at], self._ends[at]
            # A whole message stands for its last field.
            for number in range(len(ends), 0, -1):
                whole = start == offset and number == len(ends)
                if offset + length == ends[number - 1] or whole:
                    return start, number
        raise FormatError("no message holds these sections", offset=offset)

    @contextmanager
    def handle(self, start: int, number: int) -> Iterator[int]:
        """Open a field.

        Raises
        ------
        eccodes.CodesInternalError
            If ecCodes does not take the message for one.
        """
        eccodes = self._eccodes
        with open(self._path, "rb") as file:
            eccodes.codes_grib_multi_support_on()
            eccodes.codes_grib_multi_support_reset_file(file)
            try:
                file.seek(start)
                handle = eccodes.codes_grib_new_from_file(file)
                for _ in range(number - 1):
                    eccodes.codes_release(handle)
                    handle = eccodes.codes_grib_new_from_file(file)
            finally:
                eccodes.codes_grib_multi_support_off()
        if handle is None:
            raise FormatError("ecCodes finds no message here", offset=start)
        try:
            yield handle
        finally:
            eccodes.codes_release(handle)


def messages_of(files: Mapping[str, Messages], url: str) -> Messages:
    """Return the messages of a file.

    Raises
    ------
    FormatError
        If it is none of the files.
    """
    if len(files) == 1:
        # However its name is spelt.
        return next(iter(files.values()))
    if url not in files:
        raise FormatError("the file is none of those that were scanned", url=url)
    return files[url]


def _message(data: mmap.mmap, at: int) -> tuple[int, list[int]]:
    """Return where to go on after a mark, and where fields end; none if no message begins there."""
    nothing: tuple[int, list[int]] = (at + len(_MARK), [])
    head = data[at : at + 16]
    edition = head[7] if len(head) == 16 else 0
    if edition == 1:
        total = int.from_bytes(head[4:7], "big")
        if total & _LARGE:
            # How long it is the data section tells; what counts is where the next mark stands.
            nearest = data.find(_END + _MARK, at)
            stop = nearest + 4 if nearest >= 0 else len(data)
            return stop, [stop]
        return (at + total, [at + total]) if _whole(data, at, total) else nothing
    total = int.from_bytes(head[8:16], "big")
    if edition != 2 or not _whole(data, at, total):
        return nothing
    position, ends = at + 16, []
    while position < at + total - 4:
        size = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4] == 7:
            ends.append(position + size)
        position += max(size, 5)
    return at + total, ends


def _whole(data: mmap.mmap, at: int, total: int) -> bool:
    return total >= 12 and data[at + total - 4 : at + total] == _END
