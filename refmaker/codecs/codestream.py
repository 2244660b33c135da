"""The first bytes of compressed images: what a stream says of its own samples.

Implements as much of ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000), of PNG and WebP as
tells precision, sign, components and colours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CodestreamInfo", "describe"]

_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xF7})
"""Markers that begin a frame: SOF0..SOF11 of JPEG, and that of JPEG-LS."""
_LOSSLESS = frozenset({0xC3, 0xF7})


@dataclass(frozen=True, slots=True)
class CodestreamInfo:
    """What a compressed frame says of itself.

    Parameters
    ----------
    rows, columns, components, precision : int
        Its samples.
    signed : bool
        Whether they have a sign; JPEG and JPEG-LS do not tell, and say no.
    lossless : bool
        Whether a JPEG frame is coded without loss, and so without transforming colours.
    colours : str
        ``"YBR"`` or ``"RGB"`` if markers of the stream tell, else empty.
    process : int
        The marker that begins a frame of JPEG, such as 0xC0 for baseline; 0 of other streams.
    subsampled : bool
        Whether components of JPEG have fewer samples than others.
    jfif : bool
        Whether JPEG has a JFIF marker.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    lossless: bool = False
    colours: str = ""
    process: int = field(default=0, compare=False)
    subsampled: bool = field(default=False, compare=False)
    jfif: bool = field(default=False, compare=False)


def describe(data: bytes) -> CodestreamInfo | None:
    """Return what a stream says, or None if its first bytes do not tell.

    Parameters
    ----------
    data : bytes
        The first bytes of a frame, without item header.
    """
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:4] == b"\xff\x4f\xff\x51":
        return _jpeg2000(data)
    if data[4:8] == b"jP  ":
        at = data.find(b"\xff\x4f\xff\x51")
        return _jpeg2000(data[at:]) if at > 0 else None
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _number(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _png(data: bytes) -> CodestreamInfo | None:
    """Read the IHDR chunk (PNG, 11.2.2)."""
    if len(data) < 33:
        return None
    components = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25], 0)
    return CodestreamInfo(_number(data, 20, 4), _number(data, 16, 4), components, data[24])


def _webp(data: bytes) -> CodestreamInfo | None:
    """Read the first chunk of WebP: lossy, lossless or extended (RFC 9649, 2.5 to 2.7)."""
    kind, body = data[12:16], data[20:]
    columns = rows = -1
    if kind == b"VP8X" and len(body) >= 10:
        columns, rows = (int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
    elif kind == b"VP8L" and len(body) >= 5:
        both = int.from_bytes(body[1:5], "little")
        columns, rows = both & 0x3FFF, both >> 14 & 0x3FFF
    elif kind == b"VP8 " and len(body) >= 10:
        columns, rows = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return CodestreamInfo(rows, columns, 3, 8)
    if rows < 0:
        return None
    # Whether there is alpha is for the decoder to say: those that are asked for it make it up.
    return CodestreamInfo(rows + 1, columns + 1, 3, 8)


def _jpeg2000(data: bytes) -> CodestreamInfo | None:
    """Read the SIZ segment (T.800, A.5.1)."""
    if len(data) < 43:
        return None
    components, depth = _number(data, 40), data[42]
    # Sizes are those of the reference grid without the image's offset on it.
    columns = _number(data, 8, 4) - _number(data, 16, 4)
    rows = _number(data, 12, 4) - _number(data, 20, 4)
    return CodestreamInfo(
        rows, columns, components, (depth & 0x7F) + 1, signed=bool(depth & 0x80), lossless=True
    )


def _jpeg(data: bytes) -> CodestreamInfo | None:
    """Read marker segments up to the one that begins the frame (T.81, B.2.2)."""
    at, colours, jfif = 2, "", False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = _number(data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in _FRAMES:
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                return None
            components = body[5]
            names = body[6 : 6 + 3 * components : 3]
            factors = body[7 : 7 + 3 * components : 3]
            if names in (b"RGB", b"rgb"):
                colours = "RGB"
            return CodestreamInfo(
                _number(body, 1),
                _number(body, 3),
                components,
                body[0],
                lossless=marker in _LOSSLESS,
                colours=colours,
                process=marker,
                subsampled=any(factor != factors[0] for factor in factors),
                jfif=jfif,
            )
        if marker == 0xE0 and body[:5] == b"JFIF\0":
            colours, jfif = "YBR", True
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12 and not colours:
            colours = "YBR" if body[11] == 1 else "RGB"
        at += 2 + length
    return None
