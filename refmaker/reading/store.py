# ruff: noqa: ARG002 - the parent class says what methods are given
"""A reference set as a read-only Zarr store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zarr.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)

from refmaker.reading.codec_pipeline import install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Self

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from refmaker.reading.reader import Reader

__all__ = ["RefmakerStore"]

_READ_ONLY = "store was opened in read-only mode and does not support writing"


class RefmakerStore(Store):
    """The keys of a reference set; chunks are read from the files that hold them.

    Parameters
    ----------
    reader : Reader
        What is read.
    read_only : bool
        Always true.

    Raises
    ------
    ValueError
        If it is to be written.
    """

    supports_writes: bool = False
    supports_deletes: bool = False
    supports_listing: bool = True

    def __init__(self, reader: Reader, *, read_only: bool = True) -> None:
        if not read_only:
            raise ValueError("a reference set cannot be written through")
        super().__init__(read_only=True)
        self.reader = reader
        install()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RefmakerStore) and self.reader == other.reader

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return RefmakerStore, (self.reader,)

    def __repr__(self) -> str:
        return f"<RefmakerStore of {self.reader.origin or 'a set in memory'}>"

    __str__ = __repr__

    def with_read_only(self, read_only: bool = True) -> Self:
        """Return the same store; a writable one there is not.

        Raises
        ------
        NotImplementedError
            If it is to be writable.
        """
        if not read_only:
            raise NotImplementedError(
                f"with_read_only is not implemented for the {type(self)} store type."
            )
        return type(self)(self.reader)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the bytes of a key, or None where there is no such key.

        Raises
        ------
        RefmakerError
            If there is a reference that cannot be read; never a ``FileNotFoundError``, which
            would be taken for a chunk that was never written.
        """
        if not self._is_open:
            await self._open()
        start: int | None = None
        stop: int | None = None
        if isinstance(byte_range, RangeByteRequest):
            start, stop = byte_range.start, byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            start = -byte_range.suffix or (1 << 62)
        elif byte_range is not None:
            raise TypeError(f"Unexpected byte_range, got {byte_range}.")
        data = await self.reader.read(key, start, stop)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Return many keys or parts of them; see `get`."""
        import asyncio

        return list(await asyncio.gather(*(self.get(k, prototype, r) for k, r in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Return whether there is such a key."""
        return self.reader.locate(key) is not None

    async def getsize(self, key: str) -> int:
        """Return the number of bytes of a key.

        Raises
        ------
        FileNotFoundError
            If there is no such key.
        """
        size = await self.reader.size(key)
        if size is None:
            raise FileNotFoundError(key)
        return size

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in self.reader.references.keys():  # noqa: SIM118 - no mapping
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins so."""
        for key in self.reader.references.keys():  # noqa: SIM118 - no mapping
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of what lies directly below a group or array."""
        found = self.reader.references.children(prefix.rstrip("/"))
        if found is not None:
            for name in found[0]:
                yield name
            for name in found[1]:
                yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write.

        Raises
        ------
        ValueError
        """
        raise ValueError(_READ_ONLY)

    async def delete(self, key: str) -> None:
        """Refuse to delete.

        Raises
        ------
        ValueError
        """
        raise ValueError(_READ_ONLY)
