"""Members of archives as files: those that are stored as they are, are byte ranges of the archive.

``zip://folder/a.dcm::study.zip`` names a member, ``study.zip`` all of them where inputs are
named. What a scan finds in a member is written as a part of the archive, by `placed_in_archives`
in `refmaker.scanning.archives`, so that readers need to know nothing of archives.
"""

from __future__ import annotations

import os
import re
import shlex
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import (
    FormatError,
    SourceChangedError,
    SourceNotFoundError,
    UnsupportedError,
)
from refmaker.io.archive_directory import (
    HEADER,
    Entry,
    behind_header,
    read_directory,
    unpack_member,
)
from refmaker.io.known_heads import HEADS, FirstBytes, with_heads
from refmaker.io.local_file import LocalFile, local_path
from refmaker.model.report import Cost, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.io.remote_file import Piece, RemoteFile

__all__ = [
    "PACKED",
    "Archive",
    "MemberFile",
    "MemberName",
    "member_name",
    "member_place",
    "open_archive",
    "open_member",
]

PACKED = "archive-packed"
"""Code of members that are compressed or encrypted."""
_NAME = re.compile(r"(zip|tar)://(.*)::(.*?)", re.DOTALL)
_KEPT = 16
"""Archives whose directories are remembered."""
_EXTRA = 64
"""Bytes of extra fields that a local header is expected to have at most."""


class MemberName(NamedTuple):
    """The name of a member, as a URL has it.

    Parameters
    ----------
    kind : {"zip", "tar"}
        What the archive is.
    member : str
        The member's name in it, or a pattern, or a folder.
    archive : str
        Path or URL of the archive, absolute.
    """

    kind: str
    member: str
    archive: str

    def url(self, member: str) -> str:
        """Return the URL of a member of the same archive."""
        return f"{self.kind}://{member}::{self.archive}"


def member_name(url: str) -> MemberName | None:
    """Return what a URL says of a member; None if it names none, or one of an archive in another.

    Parameters
    ----------
    url : str
        Any URL.
    """
    found = _NAME.fullmatch(url)
    if found is None or found[2].count("://"):
        return None
    path = local_path(found[3])
    return MemberName(found[1], found[2], found[3] if path is None else os.path.abspath(path))


@dataclass(slots=True)
class Archive:
    """An archive of which the directory was read.

    Parameters
    ----------
    name : MemberName
        Its kind and its own name.
    fingerprint : Fingerprint
        How it looked then.
    entries : dict of str to Entry
        Its members.
    """

    name: MemberName
    fingerprint: Fingerprint
    entries: dict[str, Entry]
    _offsets: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Path or URL of the archive."""
        return self.name.archive

    def entry(self, member: str) -> Entry:
        """Return a member that can be read where it lies.

        Raises
        ------
        SourceNotFoundError
            If there is none of that name.
        UnsupportedError
            If it is compressed or encrypted; code ``archive-packed``.
        """
        entry = self.entries.get(member)
        if entry is None:
            raise SourceNotFoundError("no such member", url=self.name.url(member))
        if entry.packed:
            raise UnsupportedError(
                f"the member is packed in the archive ({entry.packed}): its bytes stand nowhere as"
                " they are",
                code=PACKED,
                url=self.name.url(member),
                hint=self._remedy(),
            )
        return entry

    def _remedy(self) -> str:
        path = local_path(self.url)
        name = os.path.basename((path or self.url.partition("?")[0]).rstrip("/"))
        folder = shlex.quote(os.path.splitext(name)[0])
        if path is None:
            return f"download it, and unpack it: unzip {shlex.quote(name)} -d {folder}"
        return f"unpack it, and scan the folder: unzip -q {shlex.quote(path)} -d {folder}"

    def offset(self, member: str, header: bytes) -> int:
        """Return where a member's bytes begin, by its local header; see `behind_header`."""
        entry = self.entries[member]
        at = behind_header(entry, header, self.url) if self.name.kind == "zip" else entry.start
        if at + entry.size > self.fingerprint.size:
            raise FormatError("a member that reaches past the archive", url=self.url, offset=at)
        self._offsets[member] = at
        return at

    def known_offset(self, member: str) -> int | None:
        """Return where a member's bytes begin, if its header was read before."""
        return self._offsets.get(member)


_archives: OrderedDict[tuple[Any, ...], Archive] = OrderedDict()
_lock = Lock()


def open_archive(
    name: MemberName, storage_options: Mapping[str, Any] | None, cost: Cost | None = None
) -> Archive:
    """Return an archive; its directory is read once, and again if a local one has changed.

    That a remote one has not is seen by every answer to those who read its members.

    Parameters
    ----------
    name : MemberName
        The archive.
    storage_options : mapping, optional
        Passed to fsspec for the archive; which may hold a policy.
    cost : Cost, optional
        Counted up with every request.

    Raises
    ------
    SourceError, FormatError, LimitError, PolicyError
        If it cannot be read, is damaged, or may not be opened.
    """
    from refmaker.io.policy import policy_of

    policy_of(name.archive, storage_options)
    cost = Cost() if cost is None else cost
    path = local_path(name.archive)
    if path is not None:
        state = _state(path)
    else:
        given = {key: repr(value) for key, value in (storage_options or {}).items()}
        given.pop(HEADS, None)
        state = tuple(sorted(given.items()))
    key = (os.getpid(), name.kind, name.archive, state)
    # Many threads may ask for members of one archive, whose directory is read once.
    with _lock:
        known = _archives.get(key)
        if known is None:
            known = _archives[key] = _read(name, path, storage_options, cost)
            while len(_archives) > _KEPT:
                _archives.popitem(last=False)
        _archives.move_to_end(key)
    return known


def _state(path: str) -> tuple[Any, ...]:
    try:
        state = os.stat(path)
    except OSError as error:
        raise SourceNotFoundError("no such file", url=path) from error
    return state.st_size, state.st_mtime_ns, state.st_ino


def _read(
    name: MemberName, path: str | None, storage_options: Mapping[str, Any] | None, cost: Cost
) -> Archive:
    if path is not None:
        local = LocalFile(path, cost)
        try:
            size = local.fingerprint.size
            entries = read_directory(local.read, size, name.kind, path)
        finally:
            local.close()
        return Archive(name, local.fingerprint, entries)
    remote = _remote_file().open(name.archive, storage_options, cost)

    def read(offset: int, length: int) -> bytes:
        ((start, data),) = remote.fetch([(offset, offset + length)])
        return data[offset - start :][:length]

    entries = read_directory(read, remote.fingerprint.size, name.kind, name.archive)
    return Archive(name, remote.fingerprint, entries)


def _remote_file() -> type[RemoteFile]:
    # Its client takes longer to load than all that names need.
    from refmaker.io.remote_file import RemoteFile

    return RemoteFile


class MemberFile:
    """A member of an archive, with what `RemoteFile` has that a cache of blocks needs.

    Attributes
    ----------
    fingerprint : Fingerprint
        The archive's time and entity tag, with the member's size.
    head : list of (int, bytes)
        What came along when it was opened.
    """

    def __init__(
        self,
        archive: Archive,
        member: str,
        storage_options: Mapping[str, Any] | None,
        cost: Cost,
        first: int,
        *,
        unpack: bool = False,
    ) -> None:
        there, found = archive.entries.get(member), archive.fingerprint
        packed = unpack and there is not None and bool(there.packed)
        entry = there if there is not None and packed else archive.entry(member)
        self._base, self._unpacked = 0, None if not packed else b""
        self.fingerprint = Fingerprint(entry.size, found.mtime, found.etag)
        self.head: list[Piece] = []
        path = local_path(archive.url)
        self._file: LocalFile | RemoteFile
        if path is not None:
            self._file = LocalFile(path, cost)
            if self._file.fingerprint != found:
                raise SourceChangedError("the archive changed while it was read", url=archive.url)
        else:
            known = with_heads(storage_options, [FirstBytes(archive.url, b"", found)])
            self._file = _remote_file().open(archive.url, known, cost)
        if packed:
            self._unpacked = unpack_member(self._bytes, found.size, member, archive.url)
            self.fingerprint = Fingerprint(len(self._unpacked), found.mtime, found.etag)
            return
        offset = archive.known_offset(member)
        self._base = self._open(archive, member, entry, first) if offset is None else offset

    def _open(self, archive: Archive, member: str, entry: Entry, first: int) -> int:
        """Read the member's header, together with its first bytes where a request is dear."""
        if archive.name.kind != "zip":
            return archive.offset(member, b"")
        length = HEADER
        if not isinstance(self._file, LocalFile):
            length += entry.name_length + _EXTRA + min(first, entry.size)
        length = min(length, archive.fingerprint.size - entry.start)
        ((_, data),) = self._pieces([(entry.start, entry.start + length)])
        offset = archive.offset(member, data)
        came = data[offset - entry.start :][: entry.size]
        # Blocks of a cache are filled whole.
        if came and len(came) < entry.size:
            came = came[: len(came) // _BLOCKS * _BLOCKS]
        self.head = [(0, came)] if came else []
        return offset

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        """Return the bytes of many ``(start, stop)`` of the member; errors as of `RemoteFile`."""
        if self._unpacked is not None:
            return [(start, self._unpacked[start:stop]) for start, stop in ranges]
        base = self._base
        pieces = self._pieces([(base + start, base + stop) for start, stop in ranges])
        found = []
        for (start, stop), (at, data) in zip(ranges, pieces, strict=True):
            found.append((start, data[base + start - at :][: stop - start]))
        return found

    def _bytes(self, offset: int, length: int) -> bytes:
        ((start, data),) = self._pieces([(offset, offset + length)])
        return data[offset - start :][:length]

    def _pieces(self, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        if isinstance(self._file, LocalFile):
            return [(start, self._file.read(start, stop - start)) for start, stop in ranges]
        return self._file.fetch(ranges)

    def describe(self) -> Fingerprint:
        """Return how the member looks now, as far as the archive tells."""
        found = self._file.describe()
        return Fingerprint(self.fingerprint.size, found.mtime, found.etag)


_BLOCKS = 8 * 1024
"""Bytes of a block, of which what comes along is a multiple."""


def open_member(
    url: str,
    storage_options: Mapping[str, Any] | None,
    cost: Cost | None = None,
    first: int = 0,
    *,
    unpack: bool = False,
) -> MemberFile | None:
    """Open a member of an archive; None if a URL names none.

    Parameters
    ----------
    url : str
        Such as ``zip://a.dcm::https://host/study.zip``.
    storage_options : mapping, optional
        Passed to fsspec for the archive.
    cost : Cost, optional
        Counted up with every request.
    first : int
        Bytes of it to bring along where that costs no request more.
    unpack : bool
        Whether a compressed member is unpacked, which is to be read as a document.

    Raises
    ------
    SourceNotFoundError
        If there is no such archive, or no such member.
    UnsupportedError
        If it is compressed or encrypted.
    SourceError, FormatError, LimitError, PolicyError
        As for `open_archive`.
    """
    name = member_name(url)
    if name is None:
        return None
    cost = Cost() if cost is None else cost
    archive = open_archive(name, storage_options, cost)
    return MemberFile(archive, name.member, storage_options, cost, first, unpack=unpack)


def member_place(
    url: str, storage_options: Mapping[str, Any] | None
) -> tuple[Archive, int, int] | None:
    """Return the archive, the first byte and the bytes of a member; None if a URL names none.

    Raises
    ------
    RefmakerError
        As for `open_member`.
    """
    name = member_name(url)
    if name is None:
        return None
    archive = open_archive(name, storage_options)
    entry = archive.entry(name.member)
    offset = archive.known_offset(name.member)
    if offset is None:
        offset = MemberFile(archive, name.member, storage_options, Cost(), 0)._base  # noqa: SLF001
    return archive, offset, entry.size
