"""Other files that a file names, such as links of HDF5 or the parts of a series, beside it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from refmaker.errors import SourceNotFoundError, UnsupportedError
from refmaker.io.archive_members import member_name
from refmaker.io.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["RelatedFiles"]


class RelatedFiles:
    """Opens files by the names that another file gives, once each.

    Parameters
    ----------
    source : Source
        The file that names the others.
    anywhere : bool
        Whether names may lead out of the file's own directory.
    backslashes : bool
        Whether names may have them between folders, as programs for Windows write them.

    Attributes
    ----------
    missing : list of str
        URLs of files that are not there, in the order in which they were asked for.
    """

    def __init__(
        self, source: Source, *, anywhere: bool = False, backslashes: bool = False
    ) -> None:
        self._source = source
        self._anywhere = anywhere
        self._backslashes = backslashes
        self._open: dict[str, Source] = {}
        self.missing: list[str] = []

    def url(self, name: str) -> str:
        """Return the URL that a name means: relative to the directory of the naming file.

        Raises
        ------
        UnsupportedError
            If it leads out of that directory, and that was not allowed.
        """
        member = member_name(self._source.url)
        own = self._source.url if member is None else member.member
        home = posixpath.dirname(own.replace("\\", "/"))
        name = name.replace("\\", "/") if self._backslashes else name
        absolute = name.startswith("/") or "::" in name or (len(name) > 1 and name[1] == ":")
        absolute = absolute or "://" in name
        inside = posixpath.normpath(name)
        if absolute or inside.startswith(".."):
            if not self._anywhere:
                raise UnsupportedError(
                    f"it names the file {name!r}, outside of its own directory",
                    code="external-outside",
                    url=self._source.url,
                    hint="allow it with `follow_external=True`",
                )
            if absolute:
                return name
        # The path of a URL is joined as text: its host and query are none of our business.
        joined = f"{home}/{inside}" if home else inside
        return joined if member is None else member.url(joined)

    def open(self, name: str) -> Source:
        """Open a file by the name that the other file gives.

        Raises
        ------
        UnsupportedError
            As for `url`.
        SourceError
            If it cannot be opened.
        PolicyError
            If the naming file is from afar, and names what a document from there may not.
        """
        url = self.url(name)
        if url not in self._open:
            from refmaker.io.policy import linked

            try:
                self._open[url] = Source(
                    url, linked(self._source.url, self._source.storage_options)
                )
            except SourceNotFoundError:
                if url not in self.missing:
                    self.missing.append(url)
                raise
        return self._open[url]

    @property
    def opened(self) -> Mapping[str, Source]:
        """The files opened so far, by URL."""
        return self._open

    def close(self) -> None:
        """Close them, and charge their costs to the file that named them."""
        for other in self._open.values():
            self._source.requests += other.requests
            self._source.bytes_read += other.bytes_read
            self._source.rounds += other.rounds
            other.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
