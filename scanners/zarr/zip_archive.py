"""A store in a zip archive, whose members are not compressed: each is a part of the one file.

Implements section 4.3 of APPNOTE.TXT 6.3.10: a member's bytes begin behind its local header.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError, RefmakerError, UnsupportedError
from refmaker.io.listing import Listing
from refmaker.io.stores import STORE_DOCUMENTS
from refmaker.io.zip_directory import library_directory, plain_directory
from refmaker.scanning.key_store import DOCUMENT_MOST, Places

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.io.many_files import FileRange
    from refmaker.io.source import Source

__all__ = ["ZipStore"]

_HEADER = 30
_NEAR, _SPAN = 4096, 64 * 1024**2
"""Mean distance of members, and bytes of all, up to which what lies between is read, too."""


class ZipStore:
    """A zip archive with a member for each key.

    Parameters
    ----------
    source : Source
        The archive.

    Attributes
    ----------
    listing : Listing
        The keys.
    names : list of str
        The same, by name.
    prefix : str
        The folder in the archive that is the store; it ends in ``/``.

    Raises
    ------
    FormatError
        If it is damaged, or no Zarr store.
    UnsupportedError
        If there are several stores in it.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._archive: zipfile.ZipFile | None = None
        members = plain_directory(source.read, source.size) or library_directory(self._library())
        # Of members with one name the last one counts.
        rows = {name: row for row, name in enumerate(members.names) if name[-1:] != "/"}
        self.prefix = _root_of(list(rows), source.url)
        start = len(self.prefix)
        found = sorted(name for name in rows if name.startswith(self.prefix))
        order = np.array([rows[name] for name in found], np.int64)
        self._start, self._size = members.start[order], members.size[order]
        self._checksum, self._packed = members.checksum[order], members.packed[order]
        self.names = [name[start:] for name in found] if start else found
        self.listing: Listing | None = Listing(self.names, self._size.tolist())

    def _library(self) -> zipfile.ZipFile:
        """Return the archive as the library opens it."""
        import zipfile

        if self._archive is None:
            try:
                self._archive = zipfile.ZipFile(self._source.open())
            except RefmakerError:
                raise
            except _broken() as error:
                what = f"a damaged zip archive: {error}"
                raise FormatError(what, url=self._source.url) from error
        return self._archive

    def url(self, key: str) -> str:  # noqa: ARG002 - whichever it is
        """Return the archive."""
        return self._source.url

    def places(self, numbers: NDArray[np.int64]) -> Places:
        """Return where the values of listed keys lie in the archive.

        Raises
        ------
        UnsupportedError
            If one is compressed or encrypted; code ``zarr-zip-compressed``.
        FormatError
            If a header is damaged, or a member reaches past the end of the archive.
        """
        packed = np.flatnonzero(self._packed[numbers])
        if packed.size:
            name = self.prefix + self.names[int(numbers[packed[0]])]
            raise UnsupportedError(
                f"the member {name!r} is compressed or encrypted in the archive",
                code="zarr-zip-compressed",
                url=self._source.url,
                hint="store members as they are: zip -0 -r store.zarr.zip .",
            )
        header, length = self._start[numbers], self._size[numbers]
        self._check(header, np.full(header.size, _HEADER))
        raw = self._headers(header)
        if not (raw[:, :4] == np.frombuffer(b"PK\x03\x04", np.uint8)).all():
            raise FormatError("a member without its header", url=self._source.url)
        words = raw[:, 26:30].copy().view("<u2").astype(np.int64)
        offset = header + _HEADER + words.sum(axis=1)
        self._check(offset, length)
        return Places((self._source.url,), offset, length, whole=False)

    def _headers(self, start: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the fixed parts of local headers, shape (n, 30); close ones at once."""
        first, last = (int(start.min()), int(start.max())) if start.size else (0, 0)
        if last - first > min(_NEAR * start.size, _SPAN):
            return self._source.read_blocks(start.astype(np.uint64), _HEADER)
        data = np.frombuffer(self._source.read(first, last - first + _HEADER), np.uint8)
        found: NDArray[np.uint8] = data[(start - first)[:, None] + np.arange(_HEADER)]
        return found

    def _check(self, start: NDArray[np.int64], length: NDArray[np.int64]) -> None:
        size = self._source.size
        if start.size and bool(((start < 0) | (start > size) | (length > size - start)).any()):
            raise FormatError("a member that reaches past the archive", url=self._source.url)

    def read(self, ranges: Sequence[FileRange]) -> list[bytes | RefmakerError]:
        """Return bytes of the archive, or why they cannot be read."""
        try:
            found = self._source.read_many(
                [(part.start, (part.stop or 0) - part.start) for part in ranges]
            )
        except RefmakerError as error:
            return [error] * len(ranges)
        return list(found)

    def values(self, numbers: Sequence[int]) -> list[bytes | RefmakerError]:
        """Return whole values of listed keys, by their numbers, compressed ones too."""
        at = np.array(numbers, np.int64)
        stored = at[~self._packed[at] & (self._size[at] <= DOCUMENT_MOST)]
        known: dict[int, bytes] = {}
        try:
            places = self.places(stored)
            ranges = zip(places.offset.tolist(), places.length.tolist(), strict=True)
            known = dict(zip(stored.tolist(), self._source.read_many(list(ranges)), strict=True))
        except RefmakerError:
            # One member that is damaged costs no other.
            known = {}
        return [
            known[number]
            if number in known and zlib.crc32(known[number]) == self._checksum[number]
            else self._unpacked(self.prefix + self.names[number])
            for number in numbers
        ]

    def _unpacked(self, name: str) -> bytes | RefmakerError:
        try:
            with self._library().open(name) as file:
                data = file.read(DOCUMENT_MOST + 1)
        except RefmakerError as error:
            return error
        except _broken() as error:
            return FormatError(f"{name}: {error}", url=self._source.url)
        if len(data) > DOCUMENT_MOST:
            return LimitError(f"{name} is larger than {DOCUMENT_MOST} bytes")
        return data


def _broken() -> tuple[type[BaseException], ...]:
    """Return what the library raises of archives that are damaged or cannot be read."""
    import zipfile

    return (
        zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, EOFError, zlib.error,
        IndexError, OSError, RuntimeError,
    )  # fmt: skip


def _root_of(names: Sequence[str], url: str) -> str:
    """Return the folder in an archive that is the store: where the outermost document lies.

    Raises
    ------
    FormatError, UnsupportedError
        If there is none, or more than one.
    """
    named = (name for name in names if name.endswith(STORE_DOCUMENTS))
    folders = {name.rpartition("/")[0] for name in named if _is_document(name)}
    if not folders:
        raise FormatError("the archive holds no Zarr store", url=url)
    least = min(folder.count("/") if folder else -1 for folder in folders)
    first = sorted(f for f in folders if (f.count("/") if f else -1) == least)
    if len(first) > 1:
        raise UnsupportedError(
            f"the archive holds several stores: {', '.join(first[:3])}",
            code="zarr-archive",
            url=url,
            hint="unpack it, and scan each",
        )
    return f"{first[0]}/" if first[0] else ""


def _is_document(name: str) -> bool:
    return name.rpartition("/")[2] in STORE_DOCUMENTS
