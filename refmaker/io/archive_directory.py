"""What lies where in a ZIP or TAR archive whose members are stored as they are.

Implements sections 4.3 and 4.4 of APPNOTE.TXT 6.3.10, of ZIP by its central directory, and the
headers of POSIX.1-2001 (pax) and GNU tar. Nothing is unpacked: a member that is compressed or
encrypted is known by its name and size, and by why it cannot be read.
"""

from __future__ import annotations

import io
import posixpath
import shlex
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DOCUMENT",
    "HEADER",
    "Entry",
    "archive_kind",
    "behind_header",
    "read_directory",
    "unpack_member",
]

HEADER = 30
"""Bytes of a local header of ZIP, without name and extra fields."""
_TAIL = 128 * 1024
"""Bytes at the end of an archive that are read together: there its directory begins to be found."""
_BUFFER = 32 * 1024
_DIRECTORY = 32 * 1024**2
"""Largest directory."""
DOCUMENT = 64 * 1024**2
"""Largest compressed member that is unpacked to be read as a document."""
_MEMBERS = 1 << 20
"""Most members."""
_PACKINGS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SIGNATURE = max(map(len, _PACKINGS))
_METHODS = {8: "deflate", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz"}


def _broken() -> tuple[type[BaseException], ...]:
    """Return what the libraries raise of archives that are damaged or cannot be read."""
    import tarfile
    import zipfile
    import zlib

    return (
        zipfile.BadZipFile, tarfile.TarError, ValueError, OverflowError, NotImplementedError,
        EOFError, IndexError, zlib.error, UnicodeError, OSError, RuntimeError, MemoryError,
    )  # fmt: skip


class Entry(NamedTuple):
    """One member.

    Parameters
    ----------
    start : int
        First byte of its local header in a ZIP archive, of itself in a TAR archive.
    name_length : int
        Bytes of its name there, as far as is known.
    size : int
        Its bytes.
    packed : str
        How it is compressed or encrypted; empty if it is stored as it is.
    """

    start: int
    name_length: int
    size: int
    packed: str = ""


def archive_kind(name: str) -> str:
    """Return ``"zip"`` or ``"tar"`` for the name of an archive that is unpacked so; else nothing.

    Parameters
    ----------
    name : str
        A path or URL, whose query does not count.
    """
    path = name.partition("?")[0] if name.startswith(("http://", "https://")) else name
    lower = path.lower()
    return next((kind for kind in ("zip", "tar") if lower.endswith(f".{kind}")), "")


def read_directory(
    read: Callable[[int, int], bytes], size: int, kind: str, url: str
) -> dict[str, Entry]:
    """Return the members of an archive by their names, in its order; folders and links left out.

    Parameters
    ----------
    read : callable
        Returns the bytes of an offset and a length inside the archive.
    size : int
        Bytes of the archive.
    kind : {"zip", "tar"}
        What it is.
    url : str
        Its name, for errors.

    Raises
    ------
    FormatError
        If it is damaged, or members overlap.
    LimitError
        If its directory is larger than any real one.
    UnsupportedError
        If it is compressed as a whole; code ``archive-packed``.
    """
    view = _View(read, size, url)
    if kind == "tar":
        _check_packing(read(0, min(size, _SIGNATURE)), url)
    # Larger than what the libraries read at a time while they look for things.
    with io.BufferedReader(view, _BUFFER) as file:
        try:
            found = _zip(file) if kind == "zip" else _tar(file)
        except RefmakerError:
            raise
        except _broken() as error:
            if view.error is not None:
                raise view.error from error
            raise FormatError(f"a damaged {kind} archive: {error}", url=url) from error
    _check(found, size, url)
    return found


def _check_packing(head: bytes, url: str) -> None:
    """Refuse a TAR archive that is compressed as a whole."""
    packed = next((name for start, name in _PACKINGS.items() if head.startswith(start)), "")
    if packed:
        where = shlex.quote(url if local_path(url) is not None else posixpath.basename(url))
        raise UnsupportedError(
            f"the archive is compressed with {packed}: its members stand nowhere as they are",
            code="archive-packed",
            url=url,
            hint=f"unpack it, and scan what is in it: tar -xf {where}",
        )


def unpack_member(read: Callable[[int, int], bytes], size: int, member: str, url: str) -> bytes:
    """Return what is in a compressed member of a ZIP archive, as far as it is a document.

    Parameters
    ----------
    read, size, url
        As for `read_directory`.
    member : str
        Its name.

    Raises
    ------
    FormatError
        If it is damaged or encrypted.
    LimitError
        If it is larger than `DOCUMENT`.
    """
    import zipfile

    with io.BufferedReader(_View(read, size, url), _BUFFER) as file:
        try:
            with zipfile.ZipFile(file) as archive, archive.open(member) as packed:
                data = packed.read(DOCUMENT + 1)
        except RefmakerError:
            raise
        except _broken() as error:
            raise FormatError(f"the member cannot be unpacked: {error}", url=url) from error
    if len(data) > DOCUMENT:
        raise LimitError(f"a packed member of more than {DOCUMENT} bytes", url=url)
    return data


def _zip(file: io.BufferedReader[Any]) -> dict[str, Entry]:
    import zipfile

    found = {}
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            packed = _METHODS.get(member.compress_type, f"method {member.compress_type}")
            if member.compress_type == zipfile.ZIP_STORED:
                packed = "" if member.compress_size == member.file_size else "a method unknown"
            if member.flag_bits & 1:
                packed = "encryption"
            name = len(member.orig_filename.encode("utf-8", "surrogateescape"))
            found[member.filename] = Entry(member.header_offset, name, member.file_size, packed)
    return found


def _tar(file: io.BufferedReader[Any]) -> dict[str, Entry]:
    import tarfile

    found = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for number, member in enumerate(archive):
            if number >= _MEMBERS:
                raise LimitError(f"more than {_MEMBERS} members")
            # What a list keeps for those who unpack is not needed.
            archive.members.clear()  # type: ignore[attr-defined]
            if member.isreg() and not member.issparse():
                found[member.name] = Entry(member.offset_data, 0, member.size)
    return found


def _check(found: dict[str, Entry], size: int, url: str) -> None:
    """Refuse members that reach past the archive, or share bytes of it: no real one has such."""
    plain = [entry for entry in found.values() if not entry.packed]
    spans = sorted((entry.start, entry.start + entry.size) for entry in plain)
    if any(start < 0 or stop > size for start, stop in spans):
        raise FormatError("a member that reaches past the archive", url=url)
    if any(stop > start for (_, stop), (start, _) in pairwise(spans)):
        raise FormatError("members of the archive overlap", url=url)


def behind_header(entry: Entry, header: bytes, url: str) -> int:
    """Return where the bytes of a member of a ZIP archive begin.

    Parameters
    ----------
    entry : Entry
        The member.
    header : bytes
        The first `HEADER` bytes of its local header, or more.
    url : str
        The archive.

    Raises
    ------
    FormatError
        If there is no such header.
    """
    if len(header) < HEADER or header[:4] != b"PK\x03\x04":
        raise FormatError("a member without its header", url=url, offset=entry.start)
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    return entry.start + HEADER + name + extra


class _View(io.RawIOBase):
    """The archive as a file, whose end is read only once."""

    def __init__(self, read: Callable[[int, int], bytes], size: int, url: str) -> None:
        self._read, self._size, self._url = read, size, url
        self._at = 0
        self._tail: bytes | None = None
        self.error: RefmakerError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise ValueError("a position before the archive")
        self._at = at
        return at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = max(0, min(len(buffer), self._size - self._at))
        if length > _DIRECTORY:
            self.error = LimitError(f"a directory of {length} bytes", url=self._url)
            raise self.error
        try:
            data = self._bytes(length) if length else b""
        except RefmakerError as error:
            self.error = error
            raise
        buffer[:length] = data
        self._at += length
        return length

    def _bytes(self, length: int) -> bytes:
        start = max(0, self._size - _TAIL)
        if self._at < start:
            return self._read(self._at, length)
        if self._tail is None:
            self._tail = self._read(start, self._size - start)
        return self._tail[self._at - start :][:length]
