"""Tag codes and tag values that decide how an image is stored.

Names as in TIFF 6.0, its supplements, BigTIFF, and the registered private tags.
"""

from __future__ import annotations

__all__ = ["COMPRESSIONS", "JPEG", "PLACES", "compression_name"]

NEW_SUBFILE_TYPE = 254
SUBFILE_TYPE = 255
WIDTH = 256
LENGTH = 257
BITS = 258
COMPRESSION = 259
PHOTOMETRIC = 262
FILL_ORDER = 266
DESCRIPTION = 270
STRIP_OFFSETS = 273
ORIENTATION = 274
SAMPLES = 277
ROWS_PER_STRIP = 278
STRIP_COUNTS = 279
PLANAR = 284
T4_OPTIONS = 292
PREDICTOR = 317
TILE_WIDTH = 322
TILE_LENGTH = 323
TILE_OFFSETS = 324
TILE_COUNTS = 325
EXTRA_SAMPLES = 338
SAMPLE_FORMAT = 339
JPEG_TABLES = 347
JPEG_OFFSET = 513
JPEG_COUNT = 514
SUBSAMPLING = 530
DEPTH = 32997

PLACES = frozenset(
    {STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS, JPEG_OFFSET, JPEG_COUNT, 330}
)
"""Tags that say where something lies in the file, which references say instead."""

COMPRESSIONS = {
    1: "none", 2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 5: "LZW",
    6: "old-style JPEG", 7: "JPEG", 8: "deflate", 9: "JBIG (T.85)", 10: "JBIG (T.43)",
    22610: "JPEG XR (NDPI)", 32766: "NeXT", 32771: "CCITT RLE with word alignment",
    32773: "PackBits", 32809: "ThunderScan", 32895: "IT8 CT with padding",
    32896: "IT8 linework", 32897: "IT8 monochrome", 32898: "IT8 binary", 32908: "Pixar film",
    32909: "PixarLog", 32946: "deflate (32946)", 33003: "JPEG 2000 (YCbCr)",
    33004: "JPEG 2000 (lossy)", 33005: "JPEG 2000 (RGB)", 33007: "JPEG (33007)",
    34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv 24", 34712: "JPEG 2000",
    34713: "Nikon NEF", 34887: "LERC", 34892: "lossy JPEG (DNG)", 34925: "LZMA",
    34926: "ZSTD (34926)", 34927: "WebP (34927)", 34933: "PNG", 34934: "JPEG XR",
    48124: "Jetraw", 50000: "ZSTD", 50001: "WebP", 50002: "JPEG XL", 50013: "deflate (50013)",
    52546: "JPEG XL (DNG)", 65000: "EER (8 bits)", 65001: "EER (7 bits)", 65002: "EER",
}  # fmt: skip
"""Names of the values of the Compression tag."""

JPEG = frozenset({6, 7, 33007, 34892})
"""Compressions whose segments are JPEG streams."""


def compression_name(value: int) -> str:
    """Return a compression's name, with its number where that is not well known."""
    return COMPRESSIONS.get(value, f"compression {value}")
