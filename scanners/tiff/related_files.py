"""The other files of a series, found beside the first: TIFF files, and companions of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import LimitError
from refmaker.io import related_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.io.source import Source
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["RelatedTIFFs"]

_TEXT = 128 * 1024**2
"""Bytes of a companion file."""


class RelatedTIFFs(related_files.RelatedFiles):
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
        super().__init__(source, anywhere=anywhere, backslashes=True)
        self._read_pages = read_pages

    def pages(self, name: str) -> Pages:
        """Return the pages of a file.

        Raises
        ------
        SourceError, UnsupportedError, FormatError
            If it is not there, must not be opened, or is no TIFF file.
        """
        return self._read_pages(self.open(name))

    def text(self, name: str) -> str:
        """Return a companion file's text.

        Raises
        ------
        SourceError, UnsupportedError
            If it is not there or must not be opened.
        LimitError
            If it is larger than any real one.
        """
        return self.whole_text(self.open(name))

    def whole_text(self, source: Source) -> str:
        """Return the text of a file that is open.

        Raises
        ------
        LimitError
            If it is larger than any real one.
        """
        if source.size > _TEXT:
            raise LimitError(f"a companion file of {source.size} bytes", url=source.url)
        return source.read(0, source.size).decode("utf-8", "replace")
