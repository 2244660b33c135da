"""The other files of a multi-file OME-TIFF, found beside the first."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from refmaker.errors import LimitError, UnsupportedError
from refmaker.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from refmaker.scanners.tiff.pages import Pages

__all__ = ["Siblings"]

_TEXT = 128 * 1024**2
"""Bytes of a companion file."""


class Siblings:
    """Opens files by the names that the scanned file gives, once each.

    Parameters
    ----------
    source : Source
        The scanned file.
    read_pages : callable
        Reads the pages of a file.
    anywhere : bool
        Whether names may lead out of the file's own directory.
    """

    def __init__(
        self, source: Source, read_pages: Callable[[Source], Pages], *, anywhere: bool = False
    ) -> None:
        self._source = source
        self._read_pages = read_pages
        self._anywhere = anywhere
        self.opened: dict[str, Source] = {}

    def url(self, name: str) -> str:
        """Return the URL that a name means, relative to the directory of the scanned file.

        Raises
        ------
        UnsupportedError
            If it leads out of that directory, and that was not allowed.
        """
        name = name.replace("\\", "/")
        home = posixpath.dirname(self._source.url.replace("\\", "/"))
        absolute = name.startswith("/") or "::" in name or (len(name) > 1 and name[1] == ":")
        absolute = absolute or "://" in name
        inside = posixpath.normpath(name)
        if absolute or inside.startswith(".."):
            if not self._anywhere:
                raise UnsupportedError(
                    f"it names the file {name!r}, outside of its own directory",
                    url=self._source.url,
                    hint="allow it with --follow-external",
                )
            if absolute:
                return name
        return f"{home}/{inside}" if home else inside

    def _open(self, name: str) -> Source:
        url = self.url(name)
        if url not in self.opened:
            self.opened[url] = Source(url, self._source.storage_options)
        return self.opened[url]

    def pages(self, name: str) -> Pages:
        """Return the pages of a file.

        Raises
        ------
        SourceError, UnsupportedError, FormatError
            If it is not there, must not be opened, or is no TIFF file.
        """
        return self._read_pages(self._open(name))

    def text(self, name: str) -> str:
        """Return a companion file's text.

        Raises
        ------
        SourceError, UnsupportedError
            If it is not there or must not be opened.
        LimitError
            If it is larger than any real one.
        """
        source = self._open(name)
        if source.size > _TEXT:
            raise LimitError(f"a companion file of {source.size} bytes", url=source.url)
        return source.read(0, source.size).decode("utf-8", "replace")

    def close(self) -> None:
        """Close the files, and charge their costs to the one that named them."""
        for other in self.opened.values():
            self._source.requests += other.requests
            self._source.bytes_read += other.bytes_read
            self._source.rounds += other.rounds
            other.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
