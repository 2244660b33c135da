"""Packings of GRIB edition 2 that compress the integers: CCSDS, JPEG 2000, PNG.

Implements templates 7.40, 7.41 and 7.42. The libraries write as much as their input says, so what
it says is compared with the number of values before they are called.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import library
from refmaker.codecs.grib_sections import damaged, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["unpack_ccsds", "unpack_jpeg2000", "unpack_png"]

_AEC_3BYTE, _AEC_MSB = 0x02, 0x04
"""Flags of libaec that are about the buffer of integers, which is this machine's affair."""
_AEC_RATIO = 1 << 15
"""More than libaec's best ratio: one code for 64 blocks of 64 integers of 4 bytes."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 6: 4}
"""Samples a pixel of each colour type: grey, RGB, RGB with alpha."""


def unpack_ccsds(data: Buffer, section: Buffer, width: int, count: int) -> NDArray[Any]:
    """Decode template 7.42: recommended lossless compression of CCSDS 121.0.

    Section 5 holds flags (octet 22), samples a block (23) and blocks between references (24-25).
    """
    if width > 32:
        damaged(f"CCSDS packing of {width} bits")
    size = 1 if width <= 8 else 2 if width <= 16 else 4
    if count * size > data.size * _AEC_RATIO:
        damaged(f"{count} values in {data.size} bytes of CCSDS packing")
    flags = int(section[21]) & ~(_AEC_3BYTE | _AEC_MSB)
    if sys.byteorder == "big":
        flags |= _AEC_MSB
    codecs = library("imagecodecs")
    block = int(section[22])
    # Pairs of samples are coded together: the library trusts in it, and writes outside otherwise.
    if not block or block % 2:
        damaged(f"CCSDS packing in blocks of {block} samples")
    # The last block is whole, whatever the number of values.
    room = -(-count // block) * block * size
    try:
        decoded = codecs.aec_decode(
            data,
            bitspersample=width,
            flags=flags,
            blocksize=block,
            rsi=number(section[23:25]),
            out=room,  # a size: only then does the result end where the input does
        )
    except (codecs.AecError, ValueError) as error:
        damaged(f"CCSDS packing: {error}")
    if len(decoded) < count * size:
        damaged(f"CCSDS packing gave {len(decoded) // size} of {count} values")
    return np.frombuffer(decoded, f"=u{size}", count)


def unpack_jpeg2000(data: Buffer, count: int) -> NDArray[Any]:
    """Decode template 7.40: a JPEG 2000 code stream."""
    # Marker segment SIZ (ISO 15444-1, A.5.1): extent and offset of the image, components.
    head = data[:42].tobytes()
    if len(head) < 42 or head[:4] != b"\xff\x4f\xff\x51":
        damaged("no JPEG 2000 code stream in section 7")
    right, bottom, left, top, tile_right, tile_bottom = struct.unpack(">6I", head[8:32])
    (components,) = struct.unpack(">H", head[40:42])
    found = max(0, right - left) * max(0, bottom - top)
    if found != count or components != 1:
        damaged(f"a JPEG 2000 image of {found} pixels, {components} components; {count} values")
    tiles = -(-right // max(1, tile_right)) * -(-bottom // max(1, tile_bottom))
    if tiles > 65535:
        damaged(f"a JPEG 2000 image of {tiles} tiles")
    codecs = library("imagecodecs")
    try:
        image = codecs.jpeg2k_decode(data)
    except (codecs.Jpeg2kError, NotImplementedError, ValueError) as error:
        damaged(f"JPEG 2000: {error}")
    if image.size != count:
        damaged(f"JPEG 2000 gave {image.size} of {count} values")
    flat: NDArray[Any] = image.reshape(-1)
    return flat


def unpack_png(data: Buffer, width: int, count: int) -> NDArray[Any]:
    """Decode template 7.41: an image whose pixels are the integers, most significant byte first."""
    head = data[:26].tobytes()
    if len(head) < 26 or head[:8] != _PNG_SIGNATURE or head[12:16] != b"IHDR":
        damaged("no PNG image in section 7")
    columns, rows, depth, colour = struct.unpack(">IIBB", head[16:26])
    channels = _PNG_CHANNELS.get(colour, 0)
    # Writers may take whole bytes for fewer bits.
    if columns * rows != count or channels * depth < width:
        damaged(
            f"a PNG image of {columns} by {rows} pixels, type {colour}, depth {depth}; "
            f"{count} values of {width} bits"
        )
    codecs = library("imagecodecs")
    try:
        image = codecs.png_decode(data)
    except (codecs.PngError, NotImplementedError, ValueError) as error:
        damaged(f"PNG: {error}")
    if image.size != count * channels:
        damaged(f"PNG gave {image.size // channels} of {count} values")
    pixels = image.reshape(count, channels)
    if channels == 1:
        integers: NDArray[Any] = pixels[:, 0]
        if depth < 8:
            # The library stretches them to 0..255.
            integers = integers // (255 // ((1 << depth) - 1))
        return integers
    if depth != 8:
        damaged(f"a PNG image of {channels} channels of {depth} bits")
    wide = np.zeros((count, 4), np.uint8)
    wide[:, 4 - channels :] = pixels
    return wide.view(">u4").reshape(-1)
