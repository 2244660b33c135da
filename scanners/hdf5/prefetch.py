"""What HDF5 is about to read of many objects, fetched together before it asks.

The library reads one small piece after the other: an object header, its continuation, the
heap of its attributes, the index of its chunks. Against a remote file each costs a round trip.
Readers here walk the same structures of all objects in lockstep, only so that their bytes
are at hand; what they find is thrown away, and what they do not understand is left alone.

HDF5 File Format Specification, III.G "Fractal Heap", III.A.2 "Version 2 B-trees", IV.A.2.c
"The Link Info Message", IV.A.2.v "The Attribute Info Message".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import TruncatedError
from refmaker.scanners.hdf5.batched_reads import Request, run_readers
from refmaker.scanners.hdf5.chunk_index import chunk_index_reader
from refmaker.scanners.hdf5.layout import Storage, layout_reader
from refmaker.scanners.hdf5.object_header import UNDEFINED, find_message
from refmaker.scanners.hdf5.superblock import superblock_reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refmaker.io.source import Source
    from refmaker.scanners.hdf5.batched_reads import Steps
    from refmaker.scanners.hdf5.superblock import Superblock

__all__ = ["MetadataPrefetcher"]

_DATASPACE, _LINK_INFO, _ATTRIBUTE_INFO = 0x0001, 0x0002, 0x0015
_HEAD = 512
_AROUND = 16 * 1024
_DIRECT_MOST = 64 * 1024
_CHILDREN_MOST = 256


class MetadataPrefetcher:
    """Fetches metadata of a remote file ahead of the HDF5 library.

    Parameters
    ----------
    source : Source
        The file; for a local one nothing is done.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._superblock: Superblock | None = None
        if source.path is None:
            [found] = run_readers([superblock_reader(source.size)], source.read_blocks)
            self._superblock = None if isinstance(found, Exception) else found

    def fetch(self, addresses: Iterable[int]) -> None:
        """Fetch headers, heaps of links and attributes, and chunk indexes of objects.

        Parameters
        ----------
        addresses : iterable of int
            Addresses of object headers, relative to the file's base address.
        """
        if self._superblock is None:
            return
        known = self._superblock
        found = list(addresses)
        # Two readers an object, side by side: neither waits for what the other reads.
        readers = [_heaps_of(address, known.base, known.end) for address in found]
        readers += [_index_of(address, known) for address in found]
        run_readers(readers, self._source.read_blocks, cache=self)

    def at_hand(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Tell whether ranges can be read without a request."""
        return self._source.at_hand(ranges)

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch ranges, small ones with what lies around them: objects are written together."""
        wanted = []
        for at, length in ranges:
            reach = 0 if length > _HEAD or self._source.at_hand([(at, length)]) else _AROUND
            start = max(0, at - reach)
            wanted.append((start, at + length + reach - start))
        self._source.prefetch(wanted)


def _index_of(address: int, superblock: Superblock) -> Steps[None]:
    """Read the chunk index, if the object is a chunked dataset."""
    layout = yield from layout_reader(address, superblock)
    if layout.storage is not Storage.CHUNKED:
        return
    space = yield from find_message(_DATASPACE, address, superblock.base, superblock.end)
    if space is None:
        return
    version, rank, flags = struct.unpack_from("<BBB", space.body)
    at = 8 if version == 1 else 4
    shape = struct.unpack_from(f"<{rank}Q", space.body, at)
    limits = struct.unpack_from(f"<{rank}Q", space.body, at + 8 * rank) if flags & 1 else shape
    maxshape = [None if limit == UNDEFINED else limit for limit in limits]
    yield from chunk_index_reader(layout, superblock, shape, maxshape)


def _heaps_of(address: int, base: int, size: int) -> Steps[None]:
    """Read an object's header to its end, and the heaps that its messages name."""
    heaps: list[int] = []
    trees: list[int] = []
    for kind, index_width in ((_LINK_INFO, 8), (_ATTRIBUTE_INFO, 2)):
        message = yield from find_message(kind, address, base, size)
        if message is None:
            continue
        flags = message.body[1]
        at = 2 + (index_width if flags & 1 else 0)
        heap, *found = struct.unpack_from("<QQQ" if flags & 2 else "<QQ", message.body, at)
        if heap != UNDEFINED:
            heaps.append(heap + base)
            trees += [tree + base for tree in found if tree != UNDEFINED]
    if heaps:
        yield from _heaps(heaps, trees, base, size)


def _heaps(heaps: list[int], trees: list[int], base: int, size: int) -> Steps[None]:
    heads = yield from _pieces([(at, _HEAD) for at in heaps + trees], size)
    roots: list[tuple[int, int]] = []
    indirect: list[tuple[int, int, int, int, int]] = []
    for head in heads[: len(heaps)]:
        width, start, most, bits, _, root, rows = struct.unpack_from("<HQQHHQH", head, 110)
        if head[:4] != b"FRHP" or root == UNDEFINED:
            continue
        if rows:
            children = min(rows * width, _CHILDREN_MOST)
            first = 13 + (bits + 7) // 8
            indirect.append((len(roots), first, width, start, min(most, _DIRECT_MOST)))
            roots.append((root + base, first + 8 * children))
        else:
            roots.append((root + base, min(start, _DIRECT_MOST)))
    for head in heads[len(heaps) :]:
        if head[:4] == b"BTHD":
            node, root = struct.unpack_from("<I", head, 6)[0], struct.unpack_from("<Q", head, 16)[0]
            if root != UNDEFINED:
                roots.append((root + base, min(node, _DIRECT_MOST)))
    blocks = yield from _pieces(roots, size)
    direct = []
    for number, first, width, start, most in indirect:
        block = blocks[number]
        addresses = struct.unpack_from(f"<{(len(block) - first) // 8}Q", block, first)
        for child, at in enumerate(addresses):
            # Blocks double in size from the third row on.
            nbytes = start << max(0, child // width - 1)
            if at != UNDEFINED and nbytes <= most:
                direct.append((at + base, nbytes))
    yield from _pieces(direct, size)


def _pieces(places: list[tuple[int, int]], size: int) -> Steps[list[bytes]]:
    """Ask for pieces of different lengths at once, cut at the end of the file."""
    inside = [(at, min(length, size - at)) for at, length in places if at < size]
    if len(inside) < len(places):
        raise TruncatedError("metadata lies past the end of the file")
    requests = tuple(Request(np.array([at], np.uint64), length) for at, length in inside)
    blocks = yield requests
    return [block[0].tobytes() for block in blocks]
