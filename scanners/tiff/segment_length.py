"""How long the only strip or tile of a page is, where no byte count says it.

Like libtiff's estimate: compressed data end before whatever comes next in the file. Streams
that tell where they end are believed, as some decoders refuse what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["segment_length"]

_ZSTD = frozenset({34926, 50000})
_LZMA = 34925
_LOOKED_AT = 64 * 1024**2
"""Bytes of a stream in which its end is looked for."""


def segment_length(pages: Pages, page: int, offset: int) -> int:
    """Return the bytes of a page's only segment, which is compressed."""
    facts = pages.facts(page)
    file = int(pages.file[page])
    source = pages.sources[file]
    begins = pages.directories[file].offset
    later = begins[begins > offset]
    end = int(later.min()) if later.size else source.size
    known = max(end - offset, 1)
    if facts.compression not in (*_ZSTD, _LZMA) or known > _LOOKED_AT:
        return known
    data = source.read_upto(offset, known)
    if facts.compression in _ZSTD:
        return _zstd_frame(data) or known
    return _lzma_stream(data, facts.row_bytes * facts.chunk_length) or known


def _lzma_stream(data: bytes, decoded: int) -> int:
    """Return the length of an LZMA stream of so many decoded bytes; 0 if it does not end."""
    import lzma

    stream = lzma.LZMADecompressor(memlimit=256 * 1024**2)
    try:
        stream.decompress(data, decoded + 1)
        if not stream.eof:
            # It may have given all and not seen its end.
            stream.decompress(b"", 1)
    except (lzma.LZMAError, EOFError):
        return 0
    return len(data) - len(stream.unused_data) if stream.eof else 0


def _zstd_frame(data: bytes) -> int:
    """Return the length of a Zstandard frame (RFC 8878, 3.1.1); 0 if it does not end."""
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < 6:
        return 0
    told = data[4]
    single = told >> 5 & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[told & 3]
    at += (1 if single else 0, 2, 4, 8)[told >> 6]
    while at + 3 <= len(data):
        block = int.from_bytes(data[at : at + 3], "little")
        kind, size = block >> 1 & 3, block >> 3
        at += 3 + (1 if kind == 1 else size)
        if block & 1:
            at += 4 if told >> 2 & 1 else 0
            return at if at <= len(data) else 0
    return 0
