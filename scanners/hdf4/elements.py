"""Where the bytes of an element lie: in one place, in linked blocks, in another file, compressed.

Implements the special elements of the HDF Specification 4.2, section 3.6, as ``hblocks.c``,
``hextelt.c`` and ``hcomp.c`` write them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from refmaker.errors import (
    FormatError,
    LimitError,
    SourceNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from refmaker.scanners.hdf4.coders import CODER_BYTES, REPACK, Coder, read_coder
from refmaker.scanners.hdf4.descriptors import COMPRESSED_DATA
from refmaker.scanners.hdf4.linked import HOLE, linked_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.scanners.hdf4.descriptors import Descriptor, Descriptors

__all__ = ["CHUNKED", "COMPRESSED", "Element", "Elements"]

LINKED, EXTERNAL, COMPRESSED, CHUNKED = 1, 2, 3, 5
_MAX_METADATA: Final = 64 * 1024**2
"""Bytes of one element that is read while scanning."""
_MAX_NAME: Final = 4096
_NONE: Final = np.empty(0, np.int64)


class Element(NamedTuple):
    """Where the bytes of an element lie.

    Parameters
    ----------
    source : Source
        The file that holds them.
    offset, length : ndarray of int64, shape (n,)
        Ranges of bytes to be joined; the offset `HOLE` stands for zeros that are not stored.
    size : int
        Bytes of the element once it is decoded.
    coder : Coder or None
        How it is compressed.
    written : bool
        Whether it has any data; else there are no ranges.
    chunked : int or None
        Where the header of an element in chunks lies, which has no ranges of its own.
    """

    source: Source
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    size: int
    coder: Coder | None = None
    written: bool = True
    chunked: int | None = None

    @property
    def stored(self) -> int:
        """Bytes of all ranges."""
        return int(self.length.sum())

    @property
    def single(self) -> bool:
        """Whether all bytes lie in one place of the file."""
        return self.offset.size == 1 and int(self.offset[0]) != HOLE

    def part(self, start: int, nbytes: int) -> Element:
        """Return some of the bytes of an element that is not compressed, as one of their own."""
        first = np.cumsum(self.length) - self.length
        low = np.clip(start - first, 0, self.length)
        length = np.clip(start + nbytes - first, 0, self.length) - low
        offset = np.where(self.offset == HOLE, HOLE, self.offset + low)
        kept = length > 0
        return self._replace(offset=offset[kept], length=length[kept], size=int(length.sum()))

    def read(self, most: int | None = None, by: Callable[[int, int], bytes] | None = None) -> bytes:
        """Return the bytes as they are stored, zeros for those that are not.

        Parameters
        ----------
        most : int, optional
            Bytes after which it ends.
        by : callable, optional
            Returns bytes of the file by offset and length, in place of the file itself.
        """
        by = by or self.source.read
        left = self.stored if most is None else most
        parts = []
        for offset, size in zip(self.offset.tolist(), self.length.tolist(), strict=True):
            length = min(size, left)
            parts.append(bytes(length) if offset == HOLE else by(offset, length))
            left -= length
            if not left:
                break
        return b"".join(parts)


class Elements:
    """The elements of a file by tag and reference number.

    Parameters
    ----------
    source : Source
        The file.
    descriptors : Descriptors
        Its descriptors.
    files : RelatedFiles
        Opens external files.
    """

    def __init__(self, source: Source, descriptors: Descriptors, files: RelatedFiles) -> None:
        self.source = source
        self.windows = descriptors.windows
        self.head = descriptors.windows.read
        self.descriptors = descriptors
        self._files = files
        self._left = source.fingerprint.revisit_limit
        self._most = min(_MAX_METADATA, source.size)

    def locate(self, tag: int, ref: int) -> Element:
        """Return where an element lies.

        Raises
        ------
        FormatError, TruncatedError
            If there is none, or it reaches past the end of the file.
        UnsupportedError
            If it is of a kind that is not known.
        """
        found = self.descriptors.find(tag, ref)
        if found is None:
            raise FormatError(f"there is no element {tag}/{ref}")
        if not found.written:
            return self._nothing()
        if found.special:
            return self._special(found)
        return self._plain(found.offset, found.length)

    def read(self, tag: int, ref: int) -> bytes:
        """Return the bytes of an element that describes others.

        Raises
        ------
        FormatError, TruncatedError, UnsupportedError
            As for `locate`.
        LimitError
            If it is larger than any such element.
        """
        found = self.descriptors.find(tag, ref)
        if found is not None and found.written and not found.special:
            self._spend(found.length)
            return self.head(found.offset, found.length)
        element = self.locate(tag, ref)
        if element.coder is not None or element.chunked is not None:
            raise UnsupportedError(f"the element {tag}/{ref} is compressed", code="hdf4-special")
        self._spend(element.stored)
        return element.read(by=self.head if element.source is self.source else None)

    def compressed_data(self, ref: int) -> Element:
        """Return where the data of a compressed element lie, whose header names them."""
        if self.descriptors.find(COMPRESSED_DATA, ref) is None:
            return self._nothing()
        element = self.locate(COMPRESSED_DATA, ref)
        if element.coder is not None or element.chunked is not None:
            raise FormatError(f"compressed data {ref} that are compressed themselves")
        return element

    def _spend(self, nbytes: int) -> None:
        """Count what is read, so that a damaged file cannot have the same bytes read for ever."""
        self._left -= nbytes
        if self._left < 0 or nbytes > self._most:
            raise LimitError(f"{nbytes} bytes that describe data, in a file of {self.source.size}")

    def _nothing(self) -> Element:
        return Element(self.source, _NONE, _NONE, 0, written=False)

    def _plain(self, offset: int, length: int, source: Source | None = None) -> Element:
        source = source or self.source
        if offset + length > source.size:
            raise TruncatedError(
                f"its data end at byte {offset + length}, the file at {source.size}",
                url=source.url,
                offset=offset,
                hint="the file is incomplete",
            )
        where = np.array([offset], np.int64), np.array([length], np.int64)
        return Element(source, *where, length)

    def _special(self, found: Descriptor) -> Element:
        (code,) = struct.unpack(">H", self.head(found.offset, 2))
        if code == LINKED:
            length, block, per_table, first = struct.unpack(
                ">iiiH", self.head(found.offset + 2, 14)
            )
            offset, size = linked_blocks(self, (length, block, per_table), first)
            return Element(self.source, offset, size, length)
        if code == EXTERNAL:
            return self._external(found.offset + 2)
        if code == COMPRESSED:
            return self._compressed(found)
        if code == CHUNKED:
            return Element(self.source, _NONE, _NONE, 0, chunked=found.offset)
        raise UnsupportedError(
            f"a special element of the kind {code}",
            code="hdf4-special",
            offset=found.offset,
            hint=REPACK,
        )

    def _compressed(self, found: Descriptor) -> Element:
        head = self.head(found.offset, min(found.length, 10 + CODER_BYTES))
        if len(head) < 10:
            raise FormatError("a compressed element without a header", offset=found.offset)
        _, size, ref = struct.unpack_from(">HIH", head, 2)
        coder = read_coder(head[10:])
        return self.compressed_data(ref)._replace(size=size, coder=coder)

    def _external(self, at: int) -> Element:
        length, offset, count = struct.unpack(">iii", self.head(at, 12))
        if not 0 < count <= _MAX_NAME or length < 0 or offset < 0:
            raise FormatError("an external element without a name or size", offset=at)
        name = self.head(at + 12, count).rstrip(b"\0").decode("utf-8", "surrogateescape")
        try:
            source = self._files.open(name)
        except SourceNotFoundError as error:
            raise UnsupportedError(
                f"its data lie in {name!r}, which is not there",
                code="hdf4-external",
                hint="put that file beside this one",
            ) from error
        return self._plain(offset, length, source)
