"""What of a reference set may be handed to others: chunks of values, and nothing around them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from refmaker.errors import CodecError
from refmaker.reading.rewritten_chunks import RewrittenChunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refmaker.reading.reader import Reader

__all__ = ["Outgoing"]


class Outgoing:
    """Reads the keys of a reference set as they may leave this machine.

    Attributes
    ----------
    version : int
        Version of the Zarr format that the metadata are in.
    recode : str
        How chunks are encoded anew; ``""`` if they are as in the files.
    """

    recode = ""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._rewritten = RewrittenChunks(reader.references.metadata())

    @property
    def version(self) -> int:
        """Version of the Zarr format that the metadata are in."""
        return self.reader.version

    def keys(self) -> Iterator[str]:
        """Yield every key."""
        return self.reader.references.keys()

    def rewrites(self, key: str) -> bool:
        """Tell whether a key's bytes are others than those in the source, of another length."""
        return key in self._rewritten

    def length(self, key: str) -> int | None:
        """Return the number of bytes that `read` gives; None if that is not known before."""
        if self.rewrites(key):
            return None
        found = self.reader.references.get(key)
        return len(found) if isinstance(found, bytes) else found and found.length

    def weight(self, key: str) -> int:
        """Return about how many bytes are held while a key is read; 0 where nothing says it."""
        return self.length(key) or 0

    async def read(self, key: str, start: int | None = None, stop: int | None = None) -> Any:
        """Return the bytes of a key, or a slice of them, as `Reader.read`.

        Raises
        ------
        RefmakerError
            As `Reader.read`; `CodecError` if a chunk cannot be made one of its values alone.
        """
        codec = self._rewritten.codec(key)
        if codec is None:
            return await self.reader.read(key, start, stop)
        data = await self.reader.read(key)
        if data is None:
            return None
        try:
            values = await asyncio.to_thread(codec.shareable, data)
        except CodecError as error:
            raise error.located(path=key) from error
        return values[start:stop]

    async def size(self, key: str) -> int | None:
        """Return the number of bytes that `read` gives."""
        if not self.rewrites(key):
            return await self.reader.size(key)
        data = await self.read(key)
        return None if data is None else len(data)

    async def read_many(
        self, items: Sequence[tuple[str, int | None, int | None]]
    ) -> list[bytes | memoryview | Exception | None]:
        """Return many keys or slices; what went wrong with one is returned in its place."""
        found: list[Any] = await asyncio.gather(
            *(self.read(*item) for item in items), return_exceptions=True
        )
        return found
