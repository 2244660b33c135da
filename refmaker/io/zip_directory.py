"""The central directory of a ZIP archive by columns, for archives of very many members.

Implements sections 4.3.12 to 4.3.16 of APPNOTE.TXT 6.3.10 for archives without surprises, which
nearly all are: in one part, with nothing before or behind, no member of 4 GiB or behind 4 GiB, and
names of ASCII. All others are left to the library, as members are that have to be unpacked.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["ZipDirectory", "library_directory", "plain_directory"]

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = np.dtype(
    [("signature", "<u4"), ("made", "<u2"), ("needs", "<u2"), ("flags", "<u2"), ("method", "<u2"),
     ("time", "<u4"), ("checksum", "<u4"), ("packed", "<u4"), ("size", "<u4"), ("name", "<u2"),
     ("extra", "<u2"), ("comment", "<u2"), ("disk", "<u2"), ("inner", "<u2"), ("outer", "<u4"),
     ("start", "<u4")]
)  # fmt: skip
_SIGNATURE = b"PK\x01\x02"
_ELSEWHERE = 0xFFFFFFFF
"""A size or offset that an extra field tells."""
_OTHER_NAME = b"\x75\x70"
"""Mark of an extra field with another name of the member."""
_NEWEST = 63
"""Version of the specification that the library reads, tenfold."""


class ZipDirectory(NamedTuple):
    """The members of an archive, in its order; folders among them.

    Parameters
    ----------
    names : sequence of str
        Their names; of several of one name the last one counts.
    start, size : ndarray of int64, shape (n,)
        First byte of the local header, and bytes when unpacked.
    checksum : ndarray of int64, shape (n,)
        CRC-32 of the unpacked bytes.
    packed : ndarray of bool, shape (n,)
        Whether it is compressed or encrypted.
    """

    names: Sequence[str]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    checksum: NDArray[np.int64]
    packed: NDArray[np.bool_]


def plain_directory(read: Callable[[int, int], bytes], size: int) -> ZipDirectory | None:
    """Return the members of an archive without surprises; None for any other, damaged ones too.

    Parameters
    ----------
    read : callable
        Returns the bytes of an offset and a length inside the archive.
    size : int
        Bytes of the archive.
    """
    place = _place(read, size)
    if place is None:
        return None
    count, start, length = place
    data = read(start, length)
    first = _beginnings(data, count)
    if first is None:
        return None
    rows = np.frombuffer(data, np.uint8)[first[:, None] + np.arange(_ENTRY.itemsize)]
    entries = rows.reshape(-1).view(_ENTRY)
    name, extra = first + _ENTRY.itemsize, entries["name"].astype(np.int64)
    stop = name + extra
    behind = stop + entries["extra"]
    following = behind + entries["comment"]
    chained = np.array_equal(following, np.append(first[1:], length))
    far = np.stack([entries[key] for key in ("packed", "size", "start")]) == _ELSEWHERE
    if not chained or far.any() or entries["disk"].any() or (entries["needs"] > _NEWEST).any():
        return None
    text = data.decode("latin-1")
    names = [text[a:b] for a, b in zip(name.tolist(), stop.tolist(), strict=True)]
    if not _plain_names("".join(names)) or _renamed(data, stop, behind):
        return None
    return ZipDirectory(
        names,
        entries["start"].astype(np.int64),
        entries["size"].astype(np.int64),
        entries["checksum"].astype(np.int64),
        (entries["method"] != 0) | (entries["flags"] & 1 != 0),
    )


def _place(read: Callable[[int, int], bytes], size: int) -> tuple[int, int, int] | None:
    """Return number of entries, first byte and bytes of the directory, if nothing is behind it."""
    if size < _END.size:
        return None
    stop = size - _END.size
    signature, disk, first, here, count, length, start, comment = _END.unpack(read(stop, _END.size))
    if signature != b"PK\x05\x06" or disk or first or here != count or comment:
        return None
    if start + length == stop:
        return count, start, length
    # Of very many members, or large ones, there is a second record of the end.
    stop -= _LOCATOR.size + _END_64.size
    if stop < 0:
        return None
    raw = read(stop, _END_64.size + _LOCATOR.size)
    signature, _, _, _, disk, first, here, count, length, start = _END_64.unpack_from(raw)
    mark, _, at, disks = _LOCATOR.unpack_from(raw, _END_64.size)
    if (signature, mark, at, disks) != (b"PK\x06\x06", b"PK\x06\x07", stop, 1):
        return None
    if disk or first or here != count or start + length != stop:
        return None
    return count, start, length


def _beginnings(data: bytes, count: int) -> NDArray[np.int64] | None:
    """Return where entries begin, if their mark stands nowhere else."""
    if not count or len(data) < count * _ENTRY.itemsize:
        return None
    values = np.frombuffer(data, np.uint8)
    last = len(data) - _ENTRY.itemsize + 1
    found = np.flatnonzero(values[:last] == _SIGNATURE[0])
    for number, byte in enumerate(_SIGNATURE[1:], 1):
        found = found[values[found + number] == byte]
    return found if found.size == count and not found[0] else None


def _plain_names(text: str) -> bool:
    return text.isascii() and "\0" not in text and (os.sep == "/" or os.sep not in text)


def _renamed(data: bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> bool:
    """Tell whether an extra field may give a member another name."""
    some = np.flatnonzero(stop > start)
    parts = zip(start[some].tolist(), stop[some].tolist(), strict=True)
    return _OTHER_NAME in b"".join([data[a:b] for a, b in parts])


def library_directory(archive: zipfile.ZipFile) -> ZipDirectory:
    """Return the members of any archive that the library has opened."""
    members = archive.infolist()
    start, size, checksum = (
        np.array([getattr(member, name) for member in members], np.int64)
        for name in ("header_offset", "file_size", "CRC")
    )
    packed = [member.compress_type != 0 or member.flag_bits & 1 != 0 for member in members]
    names = [member.filename for member in members]
    return ZipDirectory(names, start, size, checksum, np.array(packed, bool))
