"""All pages of a TIFF file, or of several that belong together: how each is decoded.

Nothing here interprets what pages mean together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.tiff import tags
from refmaker.scanners.tiff.codecs import ChunkCodecs, encoding
from refmaker.scanners.tiff.page_columns import PageColumns, broadcast_constant
from refmaker.scanners.tiff.page_encoding import element_type
from refmaker.scanners.tiff.page_groups import group_by_storage, page_encoding_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.tiff.directory import Directory
    from refmaker.scanners.tiff.page_encoding import PageEncoding

__all__ = ["Pages"]

_REACH = 2**32
_BEYOND = {34412: "an LSM", 65420: "an NDPI"}
"""Formats that are no BigTIFF beyond 4 GiB: offsets wrap around, or have bytes elsewhere."""
_MOST_SAMPLES = 2**16 - 1
"""Samples of a pixel that a tag of its type can tell."""
_LARGEST_CHUNK = 2**31 - 1
"""Bytes of a decoded chunk that codecs and readers can handle."""


class Pages(PageColumns):
    """The pages of one file, or of several.

    Attributes
    ----------
    kind : ndarray of int64, shape (n,)
        The same number for pages that may be stacked in one array: same size, element type,
        storage and encoding. -1 for those that have a `problem`.
    tried : ndarray of bool, shape (n,)
        Which pages arrays were made of, or were refused for one.
    warnings : list of str
        What is odd about pages, though nothing is lost.
    probed_bytes : int
        Bytes of segments that were decoded for a look.
    """

    def __init__(self, directories: Sequence[Directory]) -> None:
        super().__init__(directories)
        self.tried = np.zeros(len(self), bool)
        self.warnings: list[str] = []
        self.probed_bytes = 0
        self._kinds, firsts = group_by_storage(self)
        self._facts = [page_encoding_of(self, int(page)) for page in firsts]
        self._problems = [
            self._judge(int(page), facts) for page, facts in zip(firsts, self._facts, strict=True)
        ]
        bad = np.array([isinstance(found, UnsupportedError) for found in self._problems], bool)
        self.kind = np.where(bad[self._kinds], -1, self._kinds)
        self.kind = broadcast_constant(self.kind)

    @classmethod
    def join(cls, files: Sequence[Pages]) -> Pages:
        """Return the pages of several files as one, in order.

        The k-th file's pages come after those of the files before it: its page i has the number
        ``first[k] + i``.
        """
        return cls([part for file in files for part in file.directories])

    def facts(self, page: int) -> PageEncoding:
        """Return what decides how a page is decoded."""
        return self._facts[int(self._kinds[page])]

    def encoding(self, page: int) -> ChunkCodecs:
        """Return how a page's segments are decoded.

        Raises
        ------
        UnsupportedError
            The page's `problem`.
        """
        found = self._problems[int(self._kinds[page])]
        if isinstance(found, UnsupportedError):
            raise self.problem(page) or found
        return found

    def dtype(self, page: int) -> np.dtype[Any]:
        """Return the type of the elements that a page decodes to.

        Raises
        ------
        UnsupportedError
            The page's `problem`.
        """
        return self.encoding(page).dtype

    def problem(self, page: int) -> UnsupportedError | None:
        """Return why a page's image cannot be referenced (page, tag, reason), or None."""
        found = self._problems[int(self._kinds[page])]
        if not isinstance(found, UnsupportedError):
            return None
        return UnsupportedError(
            found.message,
            code=found.code,
            url=self.urls[int(self.file[page])],
            path=self.path(page),
            offset=int(self.offset[page]),
        )

    def _judge(self, page: int, facts: PageEncoding) -> ChunkCodecs | UnsupportedError:
        """Return how pages of a kind are decoded, or why they cannot be."""
        try:
            self._check(page, facts)
            return encoding(facts)
        except UnsupportedError as error:
            return error

    def _check(self, page: int, facts: PageEncoding) -> None:
        """Refuse what has no shape, or one that no chunk can have."""
        unread = [
            name
            for name, value in (
                ("ImageWidth", facts.width),
                ("ImageLength", facts.length),
                ("SamplesPerPixel", facts.samples),
                ("Compression", facts.compression),
                ("Predictor", facts.predictor),
            )
            if value < 0
        ]
        if unread:
            raise UnsupportedError(f"{', '.join(unread)} cannot be read", code="tags")
        if min(facts.width, facts.length, facts.samples) < 1:
            raise UnsupportedError(
                f"an image of {facts.width} x {facts.length} pixels of {facts.samples} samples",
                code="empty",
            )
        if facts.samples > _MOST_SAMPLES:
            raise UnsupportedError(f"SamplesPerPixel {facts.samples}", code="limit")
        self._check_reach(page)
        if max(self.integers(page, tags.DEPTH), default=1) > 1 and not self._philips(page):
            raise UnsupportedError("ImageDepth above 1", code="depth")
        if facts.fill_order < 0 or (facts.samples > 1 and facts.planar not in (1, 2)):
            raise UnsupportedError(
                f"FillOrder {facts.fill_order}, PlanarConfiguration {facts.planar}",
                code="geometry",
            )
        nbytes = facts.run * facts.chunk_length * element_type(facts).itemsize
        if not facts.stored and nbytes > _LARGEST_CHUNK:
            raise UnsupportedError(f"segments of {nbytes} bytes when decoded", code="limit")

    def _check_reach(self, page: int) -> None:
        """Refuse files whose offsets do not reach their data, and are written in private ways."""
        file = int(self.file[page])
        part, source = self.directories[file], self.sources[file]
        if part.form.big or source.size < _REACH:
            return
        known = part.codes(0)
        for code, name in _BEYOND.items():
            if code in known:
                raise UnsupportedError(
                    f"{name} file of {source.size} bytes, whose offsets of 32 bits mean others",
                    code="offsets",
                )

    def _philips(self, page: int) -> bool:
        # Its writer sets ImageDepth to something else.
        return self.text(page, 305).startswith("Philips DP")
