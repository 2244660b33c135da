"""The data files that a document names: the granule that it describes, and others beside it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from refmaker.errors import SourceNotFoundError, UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.scanners.dmrpp.document import DMRPP

if TYPE_CHECKING:
    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.scanners.dmrpp.document import Element

__all__ = ["Granule", "granule_name"]

_HERE = "OPeNDAP_DMRpp_DATA_ACCESS_URL"
_MISSING = "OPeNDAP_DMRpp_MISSING_DATA_ACCESS_URL"
_ENDINGS = (".dap.dmrpp", ".dmrpp")


def granule_name(url: str) -> str:
    """Return the name of the file that a document beside it describes; empty if its own tells none.

    Parameters
    ----------
    url : str
        The document.
    """
    path = url.replace("\\", "/") if local_path(url) is not None else urlsplit(url).path
    name = posixpath.basename(path)
    for ending in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return ""


class Granule:
    """Opens the data files of a document, once each.

    Parameters
    ----------
    root : Element
        The document's root.
    source : Source
        The document.
    files : RelatedFiles
        Opens files by the names that the document gives.
    """

    def __init__(self, root: Element, source: Source, files: RelatedFiles) -> None:
        self._href = root.attributes.get(f"{DMRPP}href", "")
        self._source, self._files = source, files
        self._open: dict[str, Source] = {}

    def open(self, href: str) -> Source:
        """Return a data file.

        Parameters
        ----------
        href : str
            What a chunk names; empty for the granule itself.

        Raises
        ------
        UnsupportedError
            If the name leads elsewhere, or is the stand-in of a file that nobody has named;
            code ``dmrpp-missing-data``.
        SourceError
            If there is no such file.
        """
        if href not in self._open:
            self._open[href] = self._opened(href)
        return self._open[href]

    def known(self, url: str) -> Source:
        """Return a data file that is open by its URL."""
        return next(source for source in self._open.values() if source.url == url)

    @property
    def opened(self) -> list[Source]:
        """The files that were opened."""
        return list(self._open.values())

    def _opened(self, href: str) -> Source:
        name = href or self._href
        if _MISSING in name:
            raise UnsupportedError(
                "its data lie in a file of the server that is not named",
                code="dmrpp-missing-data",
                url=self._source.url,
            )
        beside = granule_name(self._source.url)
        if not name or _HERE in name:
            if not beside:
                raise SourceNotFoundError(
                    "the document names no data file, and is not called after one",
                    url=self._source.url,
                    hint="call it like its data file, with .dmrpp behind",
                )
            return self._files.open(beside)
        leaf = posixpath.basename(urlsplit(name).path if "://" in name else name)
        own = not href and leaf == beside
        if "://" in name:
            folder = posixpath.dirname(self._source.url.replace("\\", "/"))
            if own or posixpath.dirname(name) == folder:
                # The file of that name beside the document, wherever both were put.
                return self._files.open(leaf)
        try:
            return self._files.open(name)
        except (SourceNotFoundError, UnsupportedError):
            if not own or leaf == name:
                raise
            # Servers name files from the top of their own folders.
            return self._files.open(leaf)
