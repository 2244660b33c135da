"""Arrays whose chunks hold more of a file than values, and the codecs that make them anew.

A chunk is a byte range of somebody's file. Some encodings have no range of the values alone: the
deflate stream of a DICOM data set holds the patient's name as well. Their codecs know how to make
a chunk of the values alone, which decodes to the same with the same configuration.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, RefmakerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.codecs.base import DecodeOnly

__all__ = ["RewrittenChunks"]

_OURS = b"refmaker."
"""What stands in every document that names a codec of this package."""


class RewrittenChunks:
    """Tells of chunks whether they hold more than values.

    Parameters
    ----------
    documents : iterator of (str, bytes)
        Keys of metadata of either version of Zarr, consolidated ones included.
    """

    def __init__(self, documents: Iterator[tuple[str, bytes]]) -> None:
        # None where a codec cannot be made, so that nobody knows what the chunks hold.
        self._codecs: dict[str, DecodeOnly | None] = {}
        for key, data in documents:
            if _OURS not in data:
                continue
            for path, config in _configs(key, data):
                try:
                    codec = _codec(config)
                except (RefmakerError, TypeError, ValueError):
                    self._codecs[path] = None
                    continue
                if codec is not None and codec.rewrites:
                    self._codecs[path] = codec

    def __contains__(self, key: str) -> bool:
        return self._array(key) is not None

    def codec(self, key: str) -> DecodeOnly | None:
        """Return the codec that makes a chunk of the values alone, None where it is one already.

        Raises
        ------
        MetadataError
            If the codec cannot be made.
        """
        path = self._array(key)
        if path is None:
            return None
        found = self._codecs[path]
        if found is None:
            raise MetadataError("its codec cannot be made", path=key)
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
