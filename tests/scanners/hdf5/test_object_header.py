"""Superblocks, object headers and layout messages."""

from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest

from refmaker.errors import FormatError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.scanners.hdf5 import HDF5Scanner
from refmaker.scanners.hdf5.batched_reads import run_readers
from refmaker.scanners.hdf5.checksum import lookup3
from refmaker.scanners.hdf5.layout import IndexType, Storage, layout_reader, parse_layout
from refmaker.scanners.hdf5.object_header import Message, find_message
from refmaker.scanners.hdf5.superblock import Superblock, superblock_reader

LIBVERS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
HERE = Superblock(version=0, base=0, end=1 << 40, chunk_k=32)


def one(reader, data):
    source = np.frombuffer(data, dtype=np.uint8)

    def read_blocks(offsets, length):
        if any(at + length > len(source) for at in offsets.tolist()):
            message = "past the end"
            raise TruncatedError(message)
        return np.stack([source[at : at + length] for at in offsets.tolist()])

    [found] = run_readers([reader], read_blocks)
    if isinstance(found, Exception):
        raise found
    return found


def bounds(libver):
    return ("earliest", "v108") if libver == "earliest" else (libver, libver)


@pytest.mark.parametrize("userblock", [0, 512, 4096])
@pytest.mark.parametrize("libver", LIBVERS)
def test_layouts_of_all_classes(tmp_path, libver, userblock):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=bounds(libver), userblock_size=userblock) as file:
        file["contiguous"] = np.arange(100, dtype="i4")
        file.create_dataset("never", (10,), "i4")
        file.create_dataset("chunked", (10, 20), "f8", chunks=(3, 7), compression="gzip")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((6,))
        h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I16LE, space, plist)
        file["compact"][...] = [3, 1, 4, 1, 5, 9]
        for number in range(40):  # pushes messages into continuation blocks
            file["chunked"].attrs[f"attribute {number}"] = np.arange(number)
        if libver not in ("earliest", "v108"):
            virtual = h5py.VirtualLayout((100,), "i4")
            virtual[:] = h5py.VirtualSource(file["contiguous"])
            file.create_virtual_dataset("virtual", virtual)
    data = path.read_bytes()
    superblock = one(superblock_reader(len(data)), data)
    assert superblock.base == userblock
    assert superblock.end == len(data)
    with h5py.File(path) as file:
        found = {}
        for name in file:
            address = file.id.links.get_info(name.encode()).u
            assert address == h5py.h5o.get_info(file[name].id).addr
            found[name] = one(layout_reader(address, superblock), data)
            assert found[name].storage.value == file[name].id.get_create_plist().get_layout()
        assert found["contiguous"].address == file["contiguous"].id.get_offset()
    assert found["contiguous"].size == 400
    assert found["never"].address is None
    compact = found["compact"]
    values = data[compact.address : compact.address + compact.size]
    assert np.frombuffer(values, "<i2").tolist() == [3, 1, 4, 1, 5, 9]
    chunked = found["chunked"]
    assert (chunked.chunk, chunked.element_size, chunked.chunk_bytes) == ((3, 7), 8, 168)
    if libver not in ("earliest", "v108"):
        assert found["virtual"].storage is Storage.VIRTUAL


def message(*parts):
    return Message(b"".join(parts), 1000)


def test_versions_1_and_2():
    """Layouts of the 1990s, which no library writes any more."""
    for version in (1, 2):
        head = struct.pack("<BBB5x", version, 3, 2)
        chunked = parse_layout(message(head, struct.pack("<Q3I", 77, 5, 6, 4)), HERE)
        assert chunked.storage is Storage.CHUNKED
        assert chunked.index is IndexType.BTREE1
        assert (chunked.address, chunked.chunk, chunked.element_size) == (77, (5, 6), 4)
        head = struct.pack("<BBB5x", version, 2, 1)
        contiguous = parse_layout(message(head, struct.pack("<Q2I", 99, 5, 6)), HERE)
        assert (contiguous.storage, contiguous.address) == (Storage.CONTIGUOUS, 99)
        head = struct.pack("<BBB5x", version, 2, 0)
        compact = parse_layout(message(head, struct.pack("<2II", 5, 6, 3), b"abc"), HERE)
        assert (compact.storage, compact.address, compact.size) == (Storage.COMPACT, 1020, 3)


def test_base_address_is_added():
    moved = Superblock(version=0, base=512, end=1 << 40, chunk_k=32)
    raw = message(struct.pack("<BBQQ", 3, 1, 100, 8))
    assert parse_layout(raw, moved).address == 612


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", FormatError),
        (b"\x06\x01", UnsupportedError),
        (b"\x00\x01", UnsupportedError),
        (b"\x03\x03", UnsupportedError),
        (b"\x04\x04", UnsupportedError),
        (b"\x03\x01" + bytes(15), FormatError),
        (b"\x03\x02\x01" + bytes(12), FormatError),
        (b"\x03\x02\x22" + bytes(200), FormatError),
        (b"\x03\x02\x02" + bytes(16), FormatError),  # a chunk dimension of 0
        (b"\x03\x00\x05\x00abcd", FormatError),
        (b"\x04\x02\x00\x02\x00" + bytes(40), FormatError),
        (b"\x04\x02\x00\x02\x09" + b"\1" * 40, FormatError),
        (b"\x04\x02\x04\x02\x01\x01\x01\x01" + bytes(40), UnsupportedError),
        (b"\x04\x02\x00\x02\x01\x01\x01\x00" + bytes(40), UnsupportedError),
        (b"\x05\x02\x00\x02\x01\x01\x01\x06" + bytes(40), UnsupportedError),
        (b"\x04\x02\x00\x02\x01\x01\x01\x04" + bytes(12), FormatError),
    ],
)
def test_bad_layouts(raw, error):
    with pytest.raises(error) as caught:
        parse_layout(message(raw), HERE)
    assert caught.value.offset is not None


def test_sizes_of_filtered_chunks():
    """As many bytes as the chunk's size needs and one more; 8 since version 5."""
    for version, chunk, expected in ((4, 1, 2), (4, 255, 2), (4, 256, 3), (4, 65536, 4), (5, 1, 8)):
        raw = struct.pack("<BBBBBQQBB", version, 2, 0, 2, 8, chunk, 1, 3, 10) + bytes(8)
        assert parse_layout(message(raw), HERE).size_width == expected


def header_1(*messages):
    body = b"".join(
        struct.pack("<HHB3x", kind, len(data), flags) + data for kind, flags, data in messages
    )
    return struct.pack("<BxHII4x", 1, len(messages), 1, len(body)) + body


def header_2(*messages, flags=0, width=1):
    track = b"\0\0" if flags & 4 else b""
    body = b"".join(
        struct.pack("<BHB", kind, len(data), own) + track + data for kind, own, data in messages
    )
    head = b"OHDR" + bytes([2, flags]) + bytes(16 if flags & 0x20 else 0)
    head += bytes(4 if flags & 0x10 else 0) + len(body).to_bytes(width, "little") + body
    return head + lookup3(head).to_bytes(4, "little")


LAYOUT = struct.pack("<BBQQ", 3, 1, 100, 8)


@pytest.mark.parametrize(
    "header",
    [
        header_1((1, 0, bytes(8)), (8, 0, LAYOUT)),
        header_2((1, 0, bytes(8)), (8, 0, LAYOUT)),
        header_2((8, 0, LAYOUT), flags=0x34),
        header_2((8, 0, LAYOUT), flags=0x03, width=8),
        header_2((1, 0, bytes(700)), (8, 0, LAYOUT), flags=0x01, width=2),
        header_1((1, 0, bytes(4000)), (8, 0, LAYOUT)),
    ],
)
def test_headers(header):
    data = bytes(64) + header
    found = one(find_message(8, 64, 0, len(data)), data)
    assert found.body == LAYOUT
    assert data[found.offset : found.offset + len(LAYOUT)] == LAYOUT
    assert one(find_message(9, 64, 0, len(data)), data) is None
    for end in range(64, len(data) - 1):
        with pytest.raises(FormatError):
            one(find_message(8, 64, 0, end), data[:end])


def test_continuations():
    block = struct.pack("<HHB3x", 8, len(LAYOUT), 0) + LAYOUT
    head = header_1((0x10, 0, struct.pack("<QQ", 400, len(block))))
    data = head.ljust(400, b"\0") + block
    assert one(find_message(8, 0, 0, len(data)), data).body == LAYOUT
    assert one(find_message(8, 0, 0, len(data)), data).offset == 408

    block = b"OCHK" + struct.pack("<BHB", 8, len(LAYOUT), 0) + LAYOUT + b"gap"
    block += lookup3(block).to_bytes(4, "little")
    head = header_2((0x10, 0, struct.pack("<QQ", 400, len(block))))
    data = head.ljust(400, b"\0") + block
    assert one(find_message(8, 0, 0, len(data)), data).body == LAYOUT
    for damaged in (400, 405, len(data) - 1):
        wrong = bytearray(data)
        wrong[damaged] ^= 1
        with pytest.raises(FormatError):
            one(find_message(8, 0, 0, len(data)), bytes(wrong))


def test_circles_end():
    circle = struct.pack("<QQ", 400, 24)
    head = header_1((0x10, 0, circle))
    data = head.ljust(400, b"\0") + struct.pack("<HHB3x", 0x10, 16, 0) + circle
    with pytest.raises(FormatError, match="circle"):
        one(find_message(8, 0, 0, len(data)), data)


def test_endless_headers_end():
    """Overlapping continuations: their sum is bounded."""
    step = struct.pack("<HHB3x", 0x10, 16, 0)
    data = bytearray(header_1((0x10, 0, struct.pack("<QQ", 64, 60_000))).ljust(64, b"\0"))
    for i in range(2000):
        data += step + struct.pack("<QQ", 64 + 24 * (i + 1), 60_000)
    data += bytes(120_000)
    with pytest.raises(UnsupportedError, match="header of"):
        one(find_message(8, 0, 0, len(data)), bytes(data))
    empty = header_1((0, 0, bytes(8))) + bytes(4_000_000)
    head = bytearray(empty)
    head[8:12] = (4_000_000).to_bytes(4, "little")
    with pytest.raises(UnsupportedError, match="header of"):
        one(find_message(8, 0, 0, len(head)), bytes(head))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (header_1((8, 2, LAYOUT)), UnsupportedError),
        (header_2((8, 2, LAYOUT)), UnsupportedError),
        (header_1((8, 0, LAYOUT))[:-4], FormatError),
        (b"\x02" + header_1((8, 0, LAYOUT))[1:], FormatError),
        (header_2((8, 0, LAYOUT)).replace(b"OHDR\x02", b"OHDR\x03"), UnsupportedError),
        (header_2((8, 0, LAYOUT))[:-1] + b"\0", FormatError),
        (header_1((0x10, 0, bytes(8))), FormatError),
        (header_1((0x10, 0, b"\xff" * 16)), FormatError),
        (header_1((0x10, 0, struct.pack("<QQ", 8, 1 << 60))), FormatError),
        (b"", FormatError),
        (b"OHDR", FormatError),
        (bytes(100), FormatError),
    ],
)
def test_bad_headers(header, error):
    data = bytes(8) + header
    with pytest.raises(error):
        one(find_message(8, 8, 0, len(data)), data)


def test_addresses_outside():
    with pytest.raises(FormatError):
        one(find_message(8, (1 << 64) - 1, 0, 100), bytes(100))
    with pytest.raises(TruncatedError):
        one(find_message(8, 100, 0, 100), bytes(100))
    data = header_1((1, 0, bytes(8))).ljust(200, b"\0")
    with pytest.raises(FormatError, match="no data layout"):
        one(layout_reader(0, Superblock(0, 0, len(data), 32)), data)


def test_address_sizes_other_than_8_are_unsupported(tmp_path):
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plist.set_sizes(4, 4)
    with h5py.File(h5py.h5f.create(bytes(tmp_path / "x.h5"), fcpl=plist)) as file:
        file["x"] = np.arange(1000)
    data = (tmp_path / "x.h5").read_bytes()
    with pytest.raises(UnsupportedError) as caught:
        one(superblock_reader(len(data)), data)
    assert caught.value.code == "hdf5-address-size"


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", bytes(10_000), b"\x89HDF" * 300])
def test_no_superblock(data):
    with pytest.raises(FormatError):
        one(superblock_reader(len(data)), data)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_damaged_superblock(tmp_path, libver):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file["x"] = np.arange(1000)
    data = path.read_bytes()
    true = one(superblock_reader(len(data)), data)
    for at in range(48):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[at] ^= 1 << bit
            try:
                found = one(superblock_reader(len(wrong)), bytes(wrong))
            except RefmakerError:
                continue
            assert found.end <= len(data)
            assert found == true or libver == "earliest"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("block", [0, 512, 1024])
def test_user_blocks_are_nothing_odd(tmp_path, libver, block):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", userblock_size=block, libver=libver) as f:
        f["x"] = np.arange(10)
    size = path.stat().st_size
    head = path.read_bytes()[:4096]
    assert not HDF5Scanner().suspicious(head, size)
    assert HDF5Scanner().suspicious(head, size - 1)
    assert HDF5Scanner().suspicious(head[: block + 20], size)
