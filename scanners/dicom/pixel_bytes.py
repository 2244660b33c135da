"""The bytes of pixel data: from what the header brought along, or from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import SourceChangedError
from refmaker.io.source import Source, local_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.header import Header

__all__ = ["PixelBytes"]

_WHOLE = 16 * 1024**2
"""A remote file up to this size is fetched at once when any more of it is wanted."""


class PixelBytes:
    """Reads the pixel data of one instance; a context manager.

    Parameters
    ----------
    header : Header
        The instance, whose first bytes of pixel data need not be read again.
    source : Source, optional
        The file, if it is open.
    storage_options : mapping, optional
        Passed to fsspec when it is opened, which is when more bytes are asked for.

    Attributes
    ----------
    size : int
        Bytes of the file.
    """

    def __init__(
        self,
        header: Header,
        source: Source | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.size = header.size
        self._header = header
        self._at = header.pixels.offset if header.pixels is not None else 0
        self._source = source
        self._own: Source | None = None
        self._options = storage_options

    @property
    def cheap(self) -> bool:
        """Whether many small reads cost no request each."""
        return self.source.path is not None or self.size <= _WHOLE

    def at_hand(self, offset: int, length: int) -> bool:
        """Tell whether bytes can be read without a request."""
        start = offset - self._at
        if start >= 0 and start + length <= len(self._header.tail):
            return True
        opened = self._source or self._own
        if opened is not None:
            return opened.at_hand([(offset, length)])
        return local_path(self._header.url) is not None

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes of the file.

        Raises
        ------
        TruncatedError
            If the file ends before.
        """
        start = offset - self._at
        if start >= 0 and start + length <= len(self._header.tail):
            return self._header.tail[start : start + length]
        return self.source.read(offset, length)

    def upto(self, offset: int, length: int) -> bytes:
        """Return what of a range lies inside the file."""
        return self.read(offset, min(length, self.size - offset))

    def blocks(self, offsets: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Return many ranges of equal length as the rows of one array."""
        import numpy as np

        return self.source.read_blocks(offsets.astype(np.uint64), length)

    @property
    def source(self) -> Source:
        """The file, opened when it is first asked for."""
        source = self._source or self._own
        if source is None:
            source = self._own = Source(self._header.url, self._options)
            if source.size != self.size:
                raise SourceChangedError("the file changed while it was read", url=source.url)
        return source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.close()
