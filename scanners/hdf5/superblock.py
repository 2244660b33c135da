"""The superblock, versions 0 to 3: the few facts that every address depends on.

HDF5 File Format Specification, II.A "Disk Format: Level 0A - Format Signature and
Superblock" and II.C "Superblock Extension".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.hdf5.batched_reads import Steps, fetch
from refmaker.scanners.hdf5.checksum import lookup3
from refmaker.scanners.hdf5.object_header import UNDEFINED, find_message

__all__ = ["Superblock", "superblock_reader"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEFAULT_CHUNK_K = 32
_SIZE = 64
_BTREE_K_MESSAGE = 0x0013


class Superblock(NamedTuple):
    """What is needed to follow addresses.

    Parameters
    ----------
    version : int
        0 to 3.
    base : int
        Base address, which all stored addresses are relative to: where the superblock
        lies. It is the size of the user block, 0 for most files.
    end : int
        Where the file ends, in bytes: no structure may reach past it. It is the end that
        the superblock states, or that of the file if this comes first.
    chunk_k : int
        Half the fan-out of the version 1 B-trees that index chunks
        (``istore_k``): a node has room for twice as many children.
    """

    version: int
    base: int
    end: int
    chunk_k: int


def superblock_reader(file_size: int) -> Steps[Superblock]:
    """Find and read the superblock.

    It lies at byte 0, 512, 1024, 2048, ...: the first power of two where its signature
    is found, and there is the base address, whatever the base address stored inside
    says (a user block may have been put before a finished file).

    Parameters
    ----------
    file_size : int
        Size of the file in bytes.

    Raises
    ------
    FormatError, TruncatedError
        There is no valid superblock.
    UnsupportedError
        A version, or a size of addresses, that is not implemented.
    """
    blocks = yield from fetch([0], min(_SIZE, file_size), file_size, "superblock")
    base = 0
    if blocks[0, :8].tobytes() != SIGNATURE:
        places = [512 << i for i in range(55) if (512 << i) + _SIZE <= file_size]
        blocks = yield from fetch(places, _SIZE, file_size, "superblock")
        found = np.flatnonzero((blocks[:, :8] == np.frombuffer(SIGNATURE, np.uint8)).all(axis=1))
        if not len(found):
            raise FormatError("there is no HDF5 signature")
        base = places[int(found[0])]
        blocks = blocks[found]
    raw = blocks[0].tobytes()
    if len(raw) < _SIZE:
        raise FormatError("the superblock is incomplete", offset=base)
    version = raw[8]
    if version > 3:
        raise UnsupportedError(
            f"superblock version {version}", code="hdf5-superblock-version", offset=base
        )
    sizes = raw[13:15] if version < 2 else raw[9:11]
    if sizes != b"\x08\x08":
        raise UnsupportedError(
            f"addresses of {sizes[0]} and lengths of {sizes[1]} bytes",
            code="hdf5-address-size",
            offset=base,
        )
    # The stored end counts from the beginning of the file, user block included.
    start = (24, 28, 12, 12)[version]
    stored_base, end = _number(raw, start), _number(raw, start + 16)
    end = min(file_size, end - stored_base + base)
    if end <= base:
        raise FormatError("the file ends before its superblock", offset=base)
    if version < 2:
        chunk_k = int.from_bytes(raw[24:26], "little") if version == 1 else DEFAULT_CHUNK_K
    else:
        chunk_k = yield from _extension_k(raw, base, end)
    if not chunk_k:
        raise FormatError("the B-tree K of the superblock is 0", offset=base)
    return Superblock(version, base, end, chunk_k)


def _number(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 8], "little")


def _extension_k(raw: bytes, base: int, end: int) -> Steps[int]:
    """Chunk K of a version 2 or 3 superblock: in its extension, if it is there."""
    if int.from_bytes(raw[44:48], "little") != lookup3(raw[:44]):
        raise FormatError("superblock has a wrong checksum", offset=base)
    extension = _number(raw, 20)
    if extension == UNDEFINED:
        return DEFAULT_CHUNK_K
    message = yield from find_message(_BTREE_K_MESSAGE, extension, base, end)
    if message is None:
        return DEFAULT_CHUNK_K
    if len(message.body) < 7 or message.body[0] != 0:
        raise FormatError("bad B-tree K message", offset=message.offset)
    return int.from_bytes(message.body[1:3], "little")
