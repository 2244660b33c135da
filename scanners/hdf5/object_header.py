"""Messages of an object header, versions 1 and 2.

HDF5 File Format Specification, IV.A.1 "Data Object Header Prefix" and the
continuation message IV.A.2.q. Only as much of a header is read as is needed to find
one message; h5py remains the reader of everything else. What is found here is where
h5py gives no access: the data layout message with the address of the chunk index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.scanners.hdf5.batched_reads import Blocks, Request, Steps, checked_request, fetch
from refmaker.scanners.hdf5.checksum import check_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UNDEFINED", "Message", "absolute", "find_message"]

UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF
"""The undefined address: nothing was allocated."""

FIRST_READ = 512
"""Bytes read of each header before its size is known; nearly all fit."""

MAX_MESSAGES = 1 << 17
"""Above what the 16-bit counts of the format can give rise to, with deleted messages."""

MAX_HEADER = 8 << 20
"""Bytes of one header, with all its continuations."""

_CONTINUATION = 0x0010
_SHARED = 0x02
_TRACKS_ORDER = 0x04
_PHASE_CHANGE = 0x10
_TIMES = 0x20


class Message(NamedTuple):
    """One header message.

    Parameters
    ----------
    body : bytes
        Its data.
    offset : int
        Absolute byte offset of the data.
    """

    body: bytes
    offset: int


class _Prefix(NamedTuple):
    """What a header's first bytes say: version, first message, where they end."""

    version: int
    start: int
    end: int
    tracks_order: bool

    @property
    def length(self) -> int:
        """Bytes of the first block, with the checksum of version 2."""
        return self.end + (4 if self.version == 2 else 0)


class _Part(NamedTuple):
    """One block of a header: where it lies, its bytes, where its messages start."""

    offset: int
    block: bytes
    start: int


def absolute(address: int, base: int, file_size: int, what: str) -> int:
    """Absolute offset of an address that is stored relative to the base address.

    Parameters
    ----------
    base : int
        Base address: where the superblock lies (0 without a user block).
    file_size : int
        Size of the file in bytes.
    what : str
        What lies there, for the error.

    Raises
    ------
    FormatError
        The address is undefined.
    TruncatedError
        It lies past the end of the file.
    """
    if address == UNDEFINED:
        raise FormatError(f"{what} has no address")
    if address + base >= file_size:
        raise TruncatedError(
            f"{what} lies past the end of the file ({file_size} bytes)", offset=address + base
        )
    return address + base


def find_message(kind: int, address: int, base: int, file_size: int) -> Steps[Message | None]:
    """Read an object header until its first message of one kind is found.

    Parameters
    ----------
    address : int
        Address of the header, relative to the base address.
    file_size : int
        Size of the file in bytes.

    Returns
    -------
    Message or None
        None if the header has no such message.

    Raises
    ------
    FormatError, TruncatedError
        The bytes are not an object header.
    UnsupportedError
        The message is shared, or the header has too many parts.
    """
    start = absolute(address, base, file_size, "object header")
    first = yield from fetch(
        [start], min(FIRST_READ, file_size - start), file_size, "object header"
    )
    prefix = _parse_prefix(first[0].tobytes(), start)
    if prefix.length > first.shape[1]:
        first = yield from fetch([start], prefix.length, file_size, "object header")
    if prefix.version == 2:
        check_blocks(first, prefix.end, np.array([start], np.uint64), "object header")
    seen, messages, held = {start}, 0, prefix.length
    todo = [_Part(start, first[0, : prefix.end].tobytes(), prefix.start)]
    while todo:
        found, bodies, count = _scan(todo, kind, prefix)
        if found is not None:
            return found
        links = [_continuation(body, base, file_size) for body in bodies]
        messages += count
        held += sum(length for _, length in links)
        if messages > MAX_MESSAGES or held > MAX_HEADER:
            raise UnsupportedError(
                f"object header of {held} bytes", code="hdf5-header-too-large", offset=start
            )
        for place, _ in links:
            if place in seen:
                raise FormatError("object header continues in a circle", offset=place)
            seen.add(place)
        todo = (yield from _continued(links, prefix, file_size)) if links else []
    return None


def _scan(
    parts: list[_Part], kind: int, prefix: _Prefix
) -> tuple[Message | None, list[bytes], int]:
    """Look for a message; else list the continuation messages. Counts what it passed."""
    links: list[bytes] = []
    count = 0
    for part in parts:
        for number, flags, at, size in _messages(part, prefix):
            count += 1
            if number == kind:
                return _own_message(part, flags, at, size), links, count
            if number == _CONTINUATION:
                links.append(part.block[at : at + size])
            if count > MAX_MESSAGES:
                return None, [], count
    return None, links, count


def _parse_prefix(head: bytes, offset: int) -> _Prefix:
    if head[:4] == b"OHDR":
        if len(head) < 7:
            raise TruncatedError("the file ends in an object header", offset=offset)
        version, flags = head[4], head[5]
        if version != 2:
            raise UnsupportedError(
                f"object header version {version}", code="hdf5-header-version", offset=offset
            )
        start = 6 + (16 if flags & _TIMES else 0) + (4 if flags & _PHASE_CHANGE else 0)
        width = 1 << (flags & 3)
        end = start + width + int.from_bytes(head[start : start + width], "little")
        return _Prefix(2, start + width, end, bool(flags & _TRACKS_ORDER))
    if len(head) >= 16 and head[0] == 1:
        return _Prefix(1, 16, 16 + int.from_bytes(head[8:12], "little"), tracks_order=False)
    raise FormatError("there is no object header", offset=offset)


def _messages(part: _Part, prefix: _Prefix) -> Iterator[tuple[int, int, int, int]]:
    """Type, flags, place and size of each message of a block."""
    block, at, end = part.block, part.start, len(part.block)
    width = 8 if prefix.version == 1 else 6 if prefix.tracks_order else 4
    while at + width <= end:
        if prefix.version == 1:
            number = int.from_bytes(block[at : at + 2], "little")
            size = int.from_bytes(block[at + 2 : at + 4], "little")
            flags = block[at + 4]
        else:
            number = block[at]
            size = int.from_bytes(block[at + 1 : at + 3], "little")
            flags = block[at + 3]
        at += width
        if at + size > end:
            raise FormatError("header message is longer than its header", offset=part.offset + at)
        yield number, flags, at, size
        at += size


def _own_message(part: _Part, flags: int, at: int, size: int) -> Message:
    if flags & _SHARED:
        raise UnsupportedError(
            "header message is shared", code="hdf5-shared-message", offset=part.offset + at
        )
    return Message(part.block[at : at + size], part.offset + at)


def _continuation(body: bytes, base: int, file_size: int) -> tuple[int, int]:
    """Absolute offset and length of a continuation block."""
    if len(body) < 16:
        raise FormatError("continuation message is too short")
    address = int.from_bytes(body[:8], "little")
    start = absolute(address, base, file_size, "object header continuation")
    length = int.from_bytes(body[8:16], "little")
    if length > file_size - start:
        raise TruncatedError("the file ends in an object header continuation", offset=start)
    return start, length


def _continued(links: list[tuple[int, int]], prefix: _Prefix, file_size: int) -> Steps[list[_Part]]:
    """Fetch continuation blocks, without their checksums."""
    what = "object header continuation"
    requests = tuple(checked_request([at], length, file_size, what) for at, length in links)
    replies = yield requests
    if prefix.version == 1:
        return [
            _Part(at, block[0].tobytes(), 0) for (at, _), block in zip(links, replies, strict=True)
        ]
    return [
        _Part(at, _checked_continuation(block, request), 4)
        for (at, _), block, request in zip(links, replies, requests, strict=True)
    ]


def _checked_continuation(block: Blocks, request: Request) -> bytes:
    if request.length < 8 or block[0, :4].tobytes() != b"OCHK":
        raise FormatError("there is no header continuation", offset=int(request.offsets[0]))
    end = request.length - 4
    check_blocks(block, end, request.offsets, "object header continuation")
    return block[0, :end].tobytes()
