"""The outline of a file: all that decides how it is expressed, without what changes daily.

The files of an archive are alike: the same groups, variables, types, filters and attributes, and
only values, addresses and the lengths of chunks are others. An outline is made from the bytes of
the metadata alone. Its key holds every message that says something, as it stands in the file,
with addresses left out and what they lead to put in their place; beside it stand the values of
ordinary attributes and the addresses of data. Two files with equal keys differ in nothing else.

HDF5 File Format Specification, III.A to III.E and IV. Only the plain structures are followed:
whatever else a file holds, shared messages, dense storage, links out of the file, an unknown
message, raises `StructureMismatchError`, and the file is read by h5py, as all files are at first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError
from refmaker.scanners.hdf5.attribute_bytes import Attribute, split_attribute
from refmaker.scanners.hdf5.checksum import lookup3
from refmaker.scanners.hdf5.layout import parse_layout
from refmaker.scanners.hdf5.object_header import UNDEFINED, Message
from refmaker.scanners.hdf5.structure_error import StructureMismatchError
from refmaker.scanners.hdf5.superblock import DEFAULT_CHUNK_K, Superblock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanners.hdf5.attribute_bytes import Part, Values
    from refmaker.scanners.hdf5.layout import DataLayoutMessage

__all__ = ["StructureKey", "outline_of"]

_HEAD = 64 * 1024
_OBJECTS_MOST = 2048
_BYTES_MOST = 2 * 1024**2
"""Bytes of metadata that are looked at: more would cost as much as asking h5py."""
_END = ";"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NONE = b"\xff" * 8
_MESSAGE_1 = struct.Struct("<HHB")
_MESSAGE_2 = struct.Struct("<BHB")
_TWO = struct.Struct("<QQ")

_DATASPACE, _LINK_INFO, _DATATYPE, _OLD_FILL, _FILL, _LINK = 1, 2, 3, 4, 5, 6
_LAYOUT, _GROUP_INFO, _PIPELINE, _ATTRIBUTE, _COMMENT, _OLD_TIME = 8, 10, 11, 12, 13, 14
_CONTINUATION, _SYMBOLS, _TIME, _ATTRIBUTE_INFO, _COUNT = 16, 17, 18, 21, 22
_PLAIN = frozenset([_DATASPACE, _DATATYPE, _OLD_FILL, _FILL, _GROUP_INFO, _PIPELINE])
_SILENT = frozenset([0, _COMMENT, _OLD_TIME, _TIME, _COUNT])
"""Messages that say nothing about what is found in a file: gaps, comments, times."""


@dataclass(slots=True)
class StructureKey:
    """What was found.

    Parameters
    ----------
    superblock : Superblock
        What addresses depend on.
    key : list
        What decides; hashable as a tuple.
    values : list of tuple
        Number of the object, message and values of each ordinary attribute, in the key's order.
    places : dict of int to int or DataLayoutMessage
        Where the data of dataset number i lie: an address, or a layout that says more.
    numbers : dict of int to int
        Number of each object, by its address.
    head : bytes
        The beginning of the file, where most of its metadata lie.
    """

    superblock: Superblock
    head: bytes = b""
    key: list[Any] = field(default_factory=list)
    values: list[tuple[int, Part, Values]] = field(default_factory=list)
    places: dict[int, int | DataLayoutMessage] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)


def outline_of(source: Source) -> StructureKey:
    """Return the outline of a file.

    Raises
    ------
    StructureMismatchError
        If it holds anything that an outline does not cover, or is damaged.
    """
    try:
        return _MetadataWalk(source).run()
    except (RefmakerError, struct.error, IndexError, ValueError) as error:
        raise StructureMismatchError(str(error)) from error


class _MetadataWalk:
    """A way through the metadata of one file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._size = source.size
        self._head = source.read_upto(0, _HEAD)
        self._spent = 0
        self._todo: list[int] = []
        self._pending: list[tuple[int, list[int]]] = []
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._cached: dict[int, bytes] = {}

    def run(self) -> StructureKey:
        found, root = self._superblock()
        self._found = found
        self._number(root)
        for address in self._todo:  # grows while it is walked
            self._object(address)
        key = found.key
        for at, addresses in self._pending:
            # References may lead to objects that come later.
            key[at] = tuple([found.numbers.get(address, -1) for address in addresses])
            if -1 in key[at]:
                raise StructureMismatchError("a reference to an object without a name")
        return found

    def _bytes(self, offset: int, length: int) -> bytes:
        # Whatever a damaged file leads to, the cost has an end.
        self._spent += length + 32
        if self._spent > _BYTES_MOST:
            raise StructureMismatchError("much metadata")
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        return self._source.read(offset, length)

    def _number(self, address: int) -> int:
        numbers = self._found.numbers
        number = numbers.get(address)
        if number is None:
            number = numbers[address] = len(numbers)
            if number >= _OBJECTS_MOST:
                raise StructureMismatchError("many objects")
            self._todo.append(address)
        return number

    def _superblock(self) -> tuple[StructureKey, int]:
        head = self._head
        if head[:8] != _SIGNATURE or len(head) < 96:
            raise StructureMismatchError("no plain superblock")
        version = head[8]
        if version == 0:
            sizes, base, end, driver = head[13:15], head[24:32], head[40:48], head[48:56]
            root, kept = head[64:72], head[8:24]
            if head[32:40] != _NONE:
                raise StructureMismatchError("an odd superblock")
            if head[72:76] == b"\1\0\0\0":
                self._cached[int.from_bytes(root, "little")] = head[80:96]
            elif head[72:76] != bytes(4):
                raise StructureMismatchError("an odd root entry")
        elif version in (2, 3):
            sizes, base, end, driver = head[9:11], head[12:20], head[28:36], head[20:28]
            root, kept = head[36:44], head[8:12]
            self._check(head[:48])
        else:
            raise StructureMismatchError("another version of superblock")
        if sizes != b"\x08\x08" or base != bytes(8) or driver != _NONE:
            raise StructureMismatchError("an odd superblock")
        if int.from_bytes(end, "little") != self._size:
            raise StructureMismatchError("an odd size")
        block = Superblock(version, 0, self._size, DEFAULT_CHUNK_K)
        return StructureKey(block, head, [kept]), int.from_bytes(root, "little")

    def _check(self, block: bytes) -> None:
        """Verify the checksum at the end of a block; the same bytes need it once."""
        if block in _verified:
            return
        if lookup3(block[:-4]) != int.from_bytes(block[-4:], "little"):
            raise StructureMismatchError("a wrong checksum")
        if len(block) <= _VERIFIED_BYTES:
            if len(_verified) >= _VERIFIED_MOST:
                _verified.clear()
            _verified.add(block)

    def _object(self, address: int) -> None:
        found, number = self._found, self._found.numbers[address]
        key = found.key
        key.append(number)
        for kind, body, order in self._messages(address):
            if kind in _SILENT:
                continue
            key.append(kind)
            if kind == _ATTRIBUTE:
                self._attribute(number, body, order)
            elif kind in _PLAIN:
                key.append(body)
            elif kind == _LAYOUT:
                self._layout(number, body)
            elif kind == _LINK:
                self._link(body)
            elif kind == _SYMBOLS:
                self._symbols(address, body)
            elif kind == _LINK_INFO:
                key.append(_compact(body, 2 + (8 if body[1] & 1 else 0)))
            elif kind == _ATTRIBUTE_INFO:
                key.append(_compact(body, 2 + (2 if body[1] & 1 else 0)))
            else:
                raise StructureMismatchError(f"a message of type {kind}")
        key.append(_END)

    def _messages(self, address: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield type, data and creation index of all messages of an object header."""
        head = self._bytes(address, min(512, self._size - address))
        if head[:4] == b"OHDR":
            yield from self._messages_2(address, head)
            return
        if head[0] != 1:
            raise StructureMismatchError("no object header")
        self._found.key.append(None)
        total, (size,) = int.from_bytes(head[2:4], "little"), struct.unpack_from("<I", head, 8)
        blocks = [(address + 16, size)]
        count = 0
        for at, length in blocks:  # grows with continuations
            block = self._bytes(at, length)
            place = 0
            while place + 8 <= length:
                kind, size, flags = _MESSAGE_1.unpack_from(block, place)
                place += 8
                body = block[place : place + size]
                place += size
                count += 1
                if flags & 2 or place > length or count > total:
                    raise StructureMismatchError("a shared message, or a damaged header")
                if kind == _CONTINUATION:
                    blocks.append(_TWO.unpack_from(body))
                else:
                    yield kind, body, 0
        if count != total:
            raise StructureMismatchError("a damaged header")

    def _messages_2(self, address: int, head: bytes) -> Iterator[tuple[int, bytes, int]]:
        flags = head[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        first = int.from_bytes(head[start : start + width], "little")
        if head[4] != 2:
            raise StructureMismatchError("another version of header")
        step = 6 if flags & 4 else 4
        # How orders are kept decides in which one names are listed.
        self._found.key.append(flags & 0x0C)
        blocks = [(address, start + width + first + 4)]
        place = start + width
        for at, length in blocks:  # grows with continuations
            block = self._bytes(at, length)
            self._check(block)
            if at != address:
                place = 4
                if block[:4] != b"OCHK" or len(blocks) > _OBJECTS_MOST:
                    raise StructureMismatchError("no continuation")
            end = length - 4
            while place + step <= end:
                kind, size, shared = _MESSAGE_2.unpack_from(block, place)
                order = int.from_bytes(block[place + 4 : place + 6], "little") if step == 6 else 0
                place += step
                body = block[place : place + size]
                place += size
                if shared & 2 or place > end:
                    raise StructureMismatchError("a shared message, or a damaged header")
                if kind == _CONTINUATION:
                    blocks.append(_TWO.unpack_from(body))
                else:
                    yield kind, body, order

    def _attribute(self, number: int, body: bytes, order: int) -> None:
        key = self._found.key
        part = split_attribute(body)
        key += (order, part.head)
        if part.pieces == Attribute.HERE:
            self._found.values.append((number, part, part.data))
        elif part.pieces == Attribute.TEXTS:
            texts = tuple(self._heap_object(p) for p in part.sequences(1))
            if part.special:
                key.append(texts)
            else:
                key.append(len(texts))
                self._found.values.append((number, part, texts))
        elif part.pieces == Attribute.REFERENCES:
            rows = [self._heap_object(p) for p in part.sequences(8)]
            addresses = [a for row in rows for a in struct.unpack(f"<{len(row) // 8}Q", row)]
            key.append(tuple(map(len, rows)))
            self._pending.append((len(key), addresses))
            key.append(None)

    def _heap_object(self, where: tuple[int, int, int]) -> bytes:
        """Return the bytes of one sequence, from the global heap."""
        nbytes, address, index = where
        if nbytes == 0:
            return b""
        heap = self._heaps.get(address)
        if heap is None:
            heap = self._heaps[address] = self._collection(address)
        data = heap.get(index)
        if data is None or len(data) < nbytes:
            raise StructureMismatchError("a sequence that is not there")
        return data[:nbytes]

    def _collection(self, address: int) -> dict[int, bytes]:
        start = self._bytes(address, 16)
        size = int.from_bytes(start[8:], "little")
        if start[:5] != b"GCOL\x01":
            raise StructureMismatchError("no global heap")
        block = self._bytes(address, size)
        found: dict[int, bytes] = {}
        at = 16
        while at + 16 <= size:
            index = int.from_bytes(block[at : at + 2], "little")
            length = int.from_bytes(block[at + 8 : at + 16], "little")
            if index == 0:
                break
            if index in found or at + 16 + length > size:
                raise StructureMismatchError("a damaged global heap")
            found[index] = block[at + 16 : at + 16 + length]
            at += 16 + length + -length % 8
        return found

    def _layout(self, number: int, body: bytes) -> None:
        key, places = self._found.key, self._found.places
        if number in places:
            raise StructureMismatchError("two layouts")
        if body[:2] in (b"\x03\x01", b"\x03\x02"):
            at = 2 if body[1] == 1 else 3
            address = body[at : at + 8]
            places[number] = int.from_bytes(address, "little")
            key += (body[:at], body[at + 8 :], address == _NONE)
            return
        layout = parse_layout(Message(body, 0), self._found.superblock)
        if layout.storage.value == 0:
            key.append(body)
            return
        if layout.storage.value == 3 or layout.unfiltered_edges:
            raise StructureMismatchError("a virtual dataset, or unfiltered edges")
        places[number] = layout
        address_less = (layout.version, layout.storage, layout.chunk, layout.element_size)
        key += (address_less, layout.index, layout.single_filtered, layout.parameters)
        key += (layout.address is None, layout.size if layout.storage.value == 1 else None)

    def _link(self, body: bytes) -> None:
        """Append a link of a compact group: its bytes, with a number for the address."""
        flags = body[1]
        if body[0] != 1 or (flags & 8 and body[2]):
            raise StructureMismatchError("a link that is not a hard one")
        key = self._found.key
        key += (body[:-8], self._number(int.from_bytes(body[-8:], "little")))
        at = 2 + (flags >> 3 & 1) + (8 if flags & 4 else 0) + (flags >> 4 & 1)
        width = 1 << (flags & 3)
        if at + width + int.from_bytes(body[at : at + width], "little") + 8 != len(body):
            raise StructureMismatchError("a damaged link")

    def _symbols(self, address: int, body: bytes) -> None:
        """Append the links of a group of the old kind: a B-tree over entries, and their names."""
        if self._cached.get(address, body[:16]) != body[:16]:
            raise StructureMismatchError("two opinions about a group")
        tree, heap = _TWO.unpack_from(body)
        start = self._bytes(heap, 32)
        size, _, data = struct.unpack_from("<QQQ", start, 8)
        if start[:5] != b"HEAP\0":
            raise StructureMismatchError("no local heap")
        names = self._bytes(data, size)
        key = self._found.key
        for leaf in self._leaves(tree):
            block = self._bytes(leaf, 8)
            if block[:5] != b"SNOD\x01":
                raise StructureMismatchError("no symbol table node")
            count = int.from_bytes(block[6:8], "little")
            block = self._bytes(leaf + 8, 40 * count)
            for at in range(0, 40 * count, 40):
                offset, target, kind = struct.unpack_from("<QQI", block, at)
                if kind > 1 or offset >= size:
                    raise StructureMismatchError("a link that is not a hard one")
                if kind == 1:
                    self._cached.setdefault(target, block[at + 24 : at + 40])
                key += (names[offset : names.index(b"\0", offset)], self._number(target))
        key.append(_END)

    def _leaves(self, tree: int) -> list[int]:
        """Return the addresses of all entries' nodes, in order."""
        level, nodes = None, [tree]
        while level != 0 and nodes:
            below: list[int] = []
            for node in nodes:
                start = self._bytes(node, 24)
                count = int.from_bytes(start[6:8], "little")
                here = start[5]
                if start[:5] != b"TREE\0" or (level is not None and here != level - 1):
                    raise StructureMismatchError("no B-tree of a group")
                block = self._bytes(node + 24, 16 * count)
                below += [at for (at,) in struct.iter_unpack("<8xQ", block)]
                if len(below) > _OBJECTS_MOST:
                    raise StructureMismatchError("many links")
            level, nodes = here, below
        return nodes


_verified: set[bytes] = set()
"""Blocks whose checksums were right."""
_VERIFIED_MOST, _VERIFIED_BYTES = 1024, 4096


def _compact(body: bytes, at: int) -> bytes:
    """Return a message about links or attributes, if none of these lie outside of the header."""
    if int.from_bytes(body[at : at + 8], "little") != UNDEFINED:
        raise StructureMismatchError("dense storage")
    return body[:2]
