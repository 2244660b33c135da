"""The data layout message: how a dataset's raw data are stored, and where.

HDF5 File Format Specification, IV.A.2.i "The Data Layout Message", versions 1 to 5.
Version 5 (written by HDF5 2.0) has the bytes of version 4; chunk indexes below it
store the sizes of filtered chunks in 8 bytes instead of as many as the chunk needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from math import prod
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.hdf5.object_header import UNDEFINED, Message, find_message

if TYPE_CHECKING:
    from refmaker.scanners.hdf5.batched_reads import Steps
    from refmaker.scanners.hdf5.superblock import Superblock

__all__ = ["DataLayoutMessage", "IndexType", "Storage", "layout_reader", "parse_layout"]

LAYOUT_MESSAGE = 0x0008
MAX_RANK = 32
_UNFILTERED_EDGES = 0x01
_SINGLE_FILTERED = 0x02


class Storage(Enum):
    """Layout classes."""

    COMPACT = 0
    CONTIGUOUS = 1
    CHUNKED = 2
    VIRTUAL = 3


class IndexType(IntEnum):
    """Chunk indexes, by their numbers in the message (version 1 B-trees have none)."""

    BTREE1 = 0
    SINGLE = 1
    IMPLICIT = 2
    FIXED_ARRAY = 3
    EXTENSIBLE_ARRAY = 4
    BTREE2 = 5


@dataclass(frozen=True, slots=True)
class DataLayoutMessage:
    """A dataset's storage.

    Parameters
    ----------
    version : int
        Version of the message, 1 to 5.
    storage : Storage
        DataLayoutMessage class. What follows is for chunked storage unless said otherwise.
    address : int or None
        Absolute byte offset of the chunk index, of contiguous data, or of compact data;
        None where nothing is allocated.
    size : int
        Bytes of contiguous (0 in versions 1 and 2, where it is not stored) or compact
        data, or of a single filtered chunk.
    chunk : tuple of int
        Chunk shape in elements.
    element_size : int
        Bytes per element.
    index : IndexType or None
        Kind of chunk index.
    unfiltered_edges : bool
        Chunks that reach over the edge of the dataset are stored unfiltered.
    single_filtered : bool
        The index is a single chunk with filters: its stored ``size`` and ``mask``.
    mask : int
        Filter mask of a single filtered chunk.
    parameters : tuple of int
        Creation parameters of the index. Fixed array: page bits. Extensible array: bits
        of the largest index, elements in the index block, fewest data block pointers of
        a super block, fewest elements of a data block, page bits. Version 2 B-tree: node
        size in bytes, split percent, merge percent.
    """

    version: int
    storage: Storage
    address: int | None = None
    size: int = 0
    chunk: tuple[int, ...] = ()
    element_size: int = 0
    index: IndexType | None = None
    unfiltered_edges: bool = False
    single_filtered: bool = False
    mask: int = 0
    parameters: tuple[int, ...] = ()

    @property
    def chunk_bytes(self) -> int:
        """Bytes of an unfiltered chunk."""
        return prod(self.chunk) * self.element_size

    @property
    def size_width(self) -> int:
        """Bytes that store a filtered chunk's size in the indexes of versions 4 and 5."""
        if self.version >= 5:
            return 8
        # One byte more than the chunk's size needs, because filters may enlarge it.
        return min(8, 1 + (self.chunk_bytes.bit_length() + 7) // 8)


def layout_reader(address: int, superblock: Superblock) -> Steps[DataLayoutMessage]:
    """Read a dataset's data layout message.

    Parameters
    ----------
    address : int
        Address of the dataset's object header relative to the base address, which is
        what ``group.id.links.get_info(name).u`` and ``h5py.h5o.get_info(id).addr`` give
        also in files with a user block.

    Raises
    ------
    FormatError, TruncatedError
        The bytes are not a dataset's object header.
    UnsupportedError
        An unknown version or a shared message.
    """
    message = yield from find_message(LAYOUT_MESSAGE, address, superblock.base, superblock.end)
    if message is None:
        raise FormatError("the object has no data layout", offset=address + superblock.base)
    return parse_layout(message, superblock)


def parse_layout(message: Message, superblock: Superblock) -> DataLayoutMessage:
    """Parse a data layout message.

    Raises
    ------
    FormatError
        The message is too short or contradicts itself.
    UnsupportedError
        An unknown version, class or flag.
    """
    fields = _MessageCursor(message, superblock.base)
    version = fields.number(1)
    if version in (1, 2):
        return _parse_old(fields, version)
    if version not in (3, 4, 5):
        raise fields.unsupported(f"data layout version {version}")
    storage = _storage(fields, 2 if version == 3 else 3)
    if storage is Storage.COMPACT:
        size = fields.number(2)
        address = fields.here
        fields.skip(size)
        return DataLayoutMessage(version, storage, address, size)
    if storage is Storage.CONTIGUOUS:
        return DataLayoutMessage(version, storage, fields.address(), fields.number(8))
    if storage is Storage.VIRTUAL:
        return DataLayoutMessage(version, storage)
    return _parse_chunked_3(fields) if version == 3 else _parse_chunked_4(fields, version)


class _MessageCursor:
    """A cursor over a message's bytes that never runs over their end."""

    def __init__(self, message: Message, base: int) -> None:
        self._body = message.body
        self._offset = message.offset
        self._base = base
        self._at = 0

    @property
    def here(self) -> int:
        return self._offset + self._at

    def skip(self, size: int) -> None:
        if self._at + size > len(self._body):
            raise FormatError("data layout message is too short", offset=self.here)
        self._at += size

    def number(self, size: int) -> int:
        start = self._at
        self.skip(size)
        return int.from_bytes(self._body[start : self._at], "little")

    def address(self) -> int | None:
        value = self.number(8)
        return None if value == UNDEFINED else value + self._base

    def dims(self, rank: int, width: int) -> tuple[int, ...]:
        """Chunk dimensions, the element size last."""
        if not 2 <= rank <= MAX_RANK + 1:
            raise FormatError(f"chunks of {rank - 1} dimensions", offset=self.here)
        dims = tuple(self.number(width) for _ in range(rank))
        if 0 in dims:
            raise FormatError("a chunk dimension is 0", offset=self.here)
        return dims

    def unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(what, code="hdf5-layout", offset=self.here)


def _storage(fields: _MessageCursor, highest: int) -> Storage:
    number = fields.number(1)
    if number > highest:
        raise fields.unsupported(f"data layout class {number}")
    return Storage(number)


def _parse_old(fields: _MessageCursor, version: int) -> DataLayoutMessage:
    rank = fields.number(1)
    storage = _storage(fields, 2)
    fields.skip(5)
    if storage is Storage.CHUNKED:
        address = fields.address()
        dims = fields.dims(rank, 4)
        return DataLayoutMessage(
            version, storage, address, 0, dims[:-1], dims[-1], IndexType.BTREE1
        )
    if storage is Storage.CONTIGUOUS:
        return DataLayoutMessage(version, storage, fields.address())
    fields.skip(4 * rank)
    size = fields.number(4)
    address = fields.here
    fields.skip(size)
    return DataLayoutMessage(version, storage, address, size)


def _parse_chunked_3(fields: _MessageCursor) -> DataLayoutMessage:
    rank = fields.number(1)
    address = fields.address()
    dims = fields.dims(rank, 4)
    return DataLayoutMessage(3, Storage.CHUNKED, address, 0, dims[:-1], dims[-1], IndexType.BTREE1)


def _parse_chunked_4(fields: _MessageCursor, version: int) -> DataLayoutMessage:
    flags, rank, width = fields.number(1), fields.number(1), fields.number(1)
    if flags & ~(_UNFILTERED_EDGES | _SINGLE_FILTERED):
        raise fields.unsupported(f"data layout flags {flags:#x}")
    if not 1 <= width <= 8:
        raise FormatError(f"chunk dimensions of {width} bytes", offset=fields.here)
    dims = fields.dims(rank, width)
    number = fields.number(1)
    size = mask = 0
    parameters: tuple[int, ...] = ()
    filtered = number == IndexType.SINGLE and bool(flags & _SINGLE_FILTERED)
    if filtered:
        size, mask = fields.number(8), fields.number(4)
    elif number == IndexType.FIXED_ARRAY:
        parameters = (fields.number(1),)
    elif number == IndexType.EXTENSIBLE_ARRAY:
        parameters = tuple(fields.number(1) for _ in range(5))
    elif number == IndexType.BTREE2:
        parameters = (fields.number(4), fields.number(1), fields.number(1))
    elif number not in (IndexType.SINGLE, IndexType.IMPLICIT):
        raise fields.unsupported(f"chunk index type {number}")
    return DataLayoutMessage(
        version,
        Storage.CHUNKED,
        fields.address(),
        size,
        dims[:-1],
        dims[-1],
        IndexType(number),
        unfiltered_edges=bool(flags & _UNFILTERED_EDGES),
        single_filtered=filtered,
        mask=mask,
        parameters=parameters,
    )
