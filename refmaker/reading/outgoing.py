"""What of a reference set may be handed to others: chunks without what stands around their values.

A chunk is a byte range of somebody's file. Some encodings have no range of the values alone: the
deflate stream of a DICOM data set holds the patient's name as well. Their codecs know how to make
a chunk of the values alone, which decodes to the same with the same configuration.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from refmaker.errors import CodecError, MetadataError, RefmakerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.codecs.base import DecodeOnly
    from refmaker.reading.reader import Reader

__all__ = ["Outgoing", "rewriting_codecs"]

_OURS = b"refmaker."
"""What stands in every document that names a codec of this package."""


def rewriting_codecs(documents: Iterator[tuple[str, bytes]]) -> dict[str, DecodeOnly | None]:
    """Return the codecs of arrays whose chunks hold more than values, by the arrays' paths.

    Parameters
    ----------
    documents : iterator of (str, bytes)
        Keys of metadata of either version of Zarr, consolidated ones included.

    Returns
    -------
    dict
        None for an array whose codec cannot be made, so that nobody knows what its chunks hold.
    """
    found: dict[str, DecodeOnly | None] = {}
    for key, data in documents:
        if _OURS not in data:
            continue
        for path, config in _configs(key, data):
            try:
                codec = _codec(config)
            except (RefmakerError, TypeError, ValueError):
                found[path] = None
                continue
            if codec is not None and codec.rewrites:
                found[path] = codec
    return found


def _configs(key: str, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the configuration that is first in decoding, of each array in a document."""
    path, _, name = key.rpartition("/")
    if name not in (".zarray", "zarr.json", ".zmetadata"):
        return
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    members: Any = document.get("metadata") if name == ".zmetadata" else None
    below: Any = document.get("consolidated_metadata") if name == "zarr.json" else None
    if isinstance(below, dict):
        members = below.get("metadata")
    if isinstance(members, dict):
        for inner, value in members.items():
            where = f"{path}/{inner}".strip("/")
            where = where if name == ".zmetadata" else f"{where}/zarr.json"
            yield from _configs(where, json.dumps(value).encode())
    stored: Any = document.get("compressor")
    filters, codecs = document.get("filters"), document.get("codecs")
    if name == ".zarray" and stored is None and isinstance(filters, list) and filters:
        stored = filters[-1]
    if name == "zarr.json" and isinstance(codecs, list) and codecs:
        stored = codecs[-1].get("configuration") if isinstance(codecs[-1], dict) else None
    if isinstance(stored, dict):
        yield path, stored


def _codec(config: Mapping[str, Any]) -> DecodeOnly | None:
    """Return a codec of this package, None for any other."""
    from numcodecs import get_codec

    from refmaker.codecs import CODECS, register
    from refmaker.codecs.base import DecodeOnly

    if config.get("id") not in CODECS:
        return None
    register()
    codec = get_codec(dict(config))
    return codec if isinstance(codec, DecodeOnly) else None


class Outgoing:
    """Reads the keys of a reference set as they may leave this machine.

    Parameters
    ----------
    reader : Reader
        The set.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._codecs = rewriting_codecs(iter(reader.references.metadata()))

    def rewrites(self, key: str) -> bool:
        """Tell whether a key's bytes are others than those in the source, of another length."""
        return self._array(key) is not None

    async def read(self, key: str, start: int | None = None, stop: int | None = None) -> Any:
        """Return the bytes of a key, or a slice of them, as `Reader.read`.

        Raises
        ------
        RefmakerError
            As `Reader.read`; `CodecError` if a chunk cannot be made one of its values alone.
        """
        path = self._array(key)
        if path is None:
            return await self._reader.read(key, start, stop)
        codec = self._codecs[path]
        if codec is None:
            raise MetadataError("its codec cannot be made", url=self._reader.origin, path=key)
        data = await self._reader.read(key)
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
            return await self._reader.size(key)
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

    def _array(self, key: str) -> str | None:
        """Return the array of a chunk, if its chunks are rewritten."""
        path, _, name = key.rpartition("/")
        if not self._codecs or name == "zarr.json" or name.startswith(".z"):
            return None
        while path and path not in self._codecs:
            # Chunks of version 3 lie in folders of their own.
            path = path.rpartition("/")[0]
        return path if path in self._codecs else None
