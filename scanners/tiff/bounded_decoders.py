"""Decoders of plain bytes that give no more than they are asked for."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING

from refmaker.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BOUNDED"]

_SLACK = 1 << 16


def _inflate(data: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most)


def _unxz(data: bytes, most: int) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor(memlimit=256 * 1024**2).decompress(data, most)
    except lzma.LZMAError as error:
        raise CodecError(f"no LZMA stream: {error}") from error


def _unzstd(data: bytes, most: int) -> bytes:
    # It does not stop in between: what is much too long is an error.
    return bytes(import_module("imagecodecs").zstd_decode(data, out=2 * most + _SLACK))[:most]


def _unlzw(data: bytes, most: int) -> bytes:
    return bytes(import_module("imagecodecs").lzw_decode(data, out=most))


def _unpackbits(data: bytes, most: int) -> bytes:
    # Two bytes become 128 at most.
    if len(data) > 2 * most + _SLACK:
        raise CodecError(f"PackBits of {len(data)} bytes, where {most} are expected at most")
    return bytes(import_module("imagecodecs").packbits_decode(data))[:most]


BOUNDED: dict[str, Callable[[bytes, int], bytes]] = {
    "zlib": _inflate,
    "lzma": _unxz,
    "zstd": _unzstd,
    "imagecodecs_lzw": _unlzw,
    "imagecodecs_packbits": _unpackbits,
}
"""Functions of an encoded segment and the number of bytes wanted, by codec id."""
