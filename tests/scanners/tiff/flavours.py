"""TIFF files of every flavour, written by tifffile and GDAL, with the values that they hold."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import imagecodecs
import numpy as np
import rasterio
import tifffile

rng = np.random.default_rng(7)
SIDE = 96
"""Pixels along each side, no multiple of the strips and tiles that are written."""


def smooth(*shape, dtype="u2", scale=200):
    """Return values that change slowly, with some noise."""
    steps = np.indices(shape).sum(axis=0) * 3.0
    values = steps + rng.normal(0, 4, shape) + scale
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(values, max(info.min, 0), info.max).astype(dtype)


GRAY = smooth(SIDE, 90)
BYTES = smooth(SIDE, 90, dtype="u1", scale=20)
RGB = smooth(SIDE, 90, 3, dtype="u1", scale=20)
FLOATS = smooth(SIDE, 90, dtype="f4")


def lib(data, **options):
    """Return a writer by tifffile of one series; gives back what tifffile reads."""

    def write(path):
        tifffile.imwrite(path, data, metadata=None, **options)
        return data if options.get("compression") != "jpeg" else tifffile.imread(path)

    return write


@contextmanager
def quiet():
    """Let GDAL be silent about what files have no place for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def gdal(data, *, nodata=None, driver="GTiff", write=None, **options):
    """Return a writer by GDAL of bands (b, y, x) or one band."""

    def make(path):
        bands = data if data.ndim == 3 else data[None]
        dtype = "complex_int16" if options.get("cint") else bands.dtype.name
        profile = {
            "driver": driver,
            "width": bands.shape[2],
            "height": bands.shape[1],
            "count": bands.shape[0],
            "dtype": dtype,
            "nodata": nodata,
            **{key: value for key, value in options.items() if key not in ("cint", "stored")},
        }
        with quiet(), rasterio.open(path, "w", **profile) as file:
            if write is None:
                file.write(bands)
            else:
                write(file, bands)
        with quiet(), rasterio.open(path) as file:
            found = file.read()
        found = found.astype(options.get("stored", found.dtype))
        if options.get("nbits") == 1:
            found = found.astype(bool)
        if found.shape[0] == 1:
            return found[0]
        return found if options.get("interleave") == "band" else np.moveaxis(found, 0, -1)

    return make


def pages(*series, **options):
    """Return a writer of several pages, each of its own kind; gives a list."""

    def write(path):
        with tifffile.TiffWriter(path, **options) as file:
            for data, how in series:
                file.write(data, metadata=None, **how)
        return [data for data, _ in series]

    return write


TILED = {"tile": (32, 32)}
STRIPS = {"rowsperstrip": 20}
ZLIB = {"compression": "zlib"}

STORED = {
    "tile_raw": lib(GRAY, **TILED),
    "tile_raw_be": lib(GRAY, **TILED, byteorder=">"),
    "bigtiff": lib(GRAY, **TILED, bigtiff=True),
    "bigtiff_be": lib(GRAY, **TILED, bigtiff=True, byteorder=">"),
    "strip_even": lib(GRAY, rowsperstrip=32),
    "strip_uneven_raw": lib(GRAY, **STRIPS),
    "strip_uneven_be": lib(GRAY, **STRIPS, byteorder=">"),
    "strip_rgb_uneven": lib(RGB, **STRIPS, photometric="rgb"),
    "strip_one_row": lib(GRAY, rowsperstrip=1),
    "rgb_planar_raw": lib(
        np.moveaxis(RGB, -1, 0), **TILED, photometric="rgb", planarconfig="separate"
    ),
    "rgb_planar_strips": lib(
        np.moveaxis(RGB, -1, 0), **STRIPS, photometric="rgb", planarconfig="separate"
    ),
    "f16": lib(FLOATS.astype("f2"), **TILED),
    "f64_be": lib(FLOATS.astype("f8"), **TILED, byteorder=">"),
    "i8": lib(BYTES.astype("i1"), **TILED),
    "i16": lib(-GRAY.astype("i2"), **STRIPS),
    "i64": lib(-GRAY.astype("i8"), **TILED),
    "u64": lib(GRAY.astype("u8") << 40, **TILED),
    "c64": lib((FLOATS + 1j * FLOATS[::-1]).astype("c8"), **TILED),
    "c128_be": lib((FLOATS - 2j * FLOATS).astype("c16"), **STRIPS, byteorder=">"),
    "palette": lib(
        BYTES, **TILED, photometric="palette", colormap=np.zeros((3, 256), "u2")
    ),
    "nodata_tag": lib(-GRAY.astype("i2"), **TILED, extratags=[(42113, "s", 0, "-9999", True)]),
    "gdal_band_sep": gdal(smooth(3, SIDE, 90, dtype="u1"), tiled=True, blockxsize=32,
                          blockysize=32, interleave="band"),
    "gdal_strip_default": gdal(GRAY),
    "gdal_strip_default_rgb": gdal(smooth(3, SIDE, 90, dtype="u1")),
    "gdal_nodata_nan": gdal(FLOATS, nodata=np.nan, tiled=True, blockxsize=32, blockysize=32),
}  # fmt: skip
"""Uncompressed: plain ranges of the file."""

NUMCODECS = {
    "tile_zlib": lib(BYTES, **TILED, **ZLIB),
    "tile_zlib_be": lib(GRAY, **TILED, **ZLIB, byteorder=">"),
    "tile_deflate_32946": lib(BYTES, **TILED, compression=32946),
    "tile_deflate_50013": lib(BYTES, **TILED, compression=50013),
    "tile_lzma": lib(BYTES, **TILED, compression="lzma"),
    "tile_zstd": lib(BYTES, **TILED, compression="zstd"),
    "gdal_zstd": gdal(GRAY, tiled=True, blockxsize=32, blockysize=32, compress="zstd"),
    "strip_uneven_zlib": lib(GRAY, **STRIPS, **ZLIB),
    "strip_uneven_lzma": lib(GRAY, **STRIPS, compression="lzma"),
    "strip_uneven_zstd": lib(GRAY, **STRIPS, compression="zstd"),
    "gdal_strip_deflate": gdal(GRAY, compress="deflate"),
    "rgb_planar": lib(
        np.moveaxis(RGB, -1, 0), **TILED, **ZLIB, photometric="rgb", planarconfig="separate"
    ),
    "rgb_planar_strips_zlib": lib(
        np.moveaxis(RGB, -1, 0), **STRIPS, **ZLIB, photometric="rgb", planarconfig="separate"
    ),
    "shaped_like_multichunk": lib(smooth(5, SIDE, 90), **STRIPS, **ZLIB),
}
"""What numcodecs decodes without anything else installed."""

IMAGECODECS = {
    "tile_lzw": lib(BYTES, **TILED, compression="lzw"),
    "tile_packbits": lib(BYTES, **TILED, compression="packbits"),
    "tile_png": lib(BYTES, **TILED, compression="png"),
    "tile_webp": lib(RGB, **TILED, compression="webp", compressionargs={"lossless": True},
                     photometric="rgb"),
    "tile_rgba_webp": lib(np.dstack([RGB, BYTES]), **TILED, compression="webp",
                          compressionargs={"lossless": True}, photometric="rgb",
                          extrasamples=["unassalpha"]),
    "tile_lerc": lib(BYTES, **TILED, compression="lerc"),
    "tile_jpegxl": lib(BYTES, **TILED, compression="jpegxl", compressionargs={"lossless": True}),
    "tile_jpegxr": lib(BYTES, **TILED, compression="jpegxr"),
    "tile_jpeg2000": lib(BYTES, **TILED, compression="jpeg2000"),
    "tile_jpeg2000_u16": lib(GRAY, **TILED, compression="jpeg2000"),
    "tile_jpeg2000_rgb": lib(RGB, **TILED, compression="jpeg2000", photometric="rgb"),
    "tile_png_u16": lib(GRAY, **TILED, compression="png"),
    "tile_pred2_u16": lib(GRAY, **TILED, **ZLIB, predictor=True),
    "tile_pred2_be": lib(GRAY, **TILED, **ZLIB, predictor=True, byteorder=">"),
    "tile_pred2_be_u32": lib(GRAY.astype("u4") << 9, **TILED, **ZLIB, predictor=True,
                             byteorder=">"),
    "rgb_contig_pred2": lib(RGB, **TILED, **ZLIB, predictor=True, photometric="rgb"),
    "rgb_planar_pred2": lib(np.moveaxis(RGB, -1, 0), **TILED, **ZLIB, predictor=True,
                            photometric="rgb", planarconfig="separate"),
    "strip_uneven_pred2": lib(GRAY, **STRIPS, **ZLIB, predictor=True),
    "strip_uneven_pred2_be": lib(GRAY, **STRIPS, **ZLIB, predictor=True, byteorder=">"),
    "strip_uneven_lzw": lib(GRAY, **STRIPS, compression="lzw"),
    "strip_uneven_packbits": lib(GRAY, **STRIPS, compression="packbits"),
    "strip_uneven_png": lib(BYTES, **STRIPS, compression="png"),
    "tile_pred3_f32": lib(FLOATS, **TILED, **ZLIB, predictor=3),
    "tile_pred3_f32_be": lib(FLOATS, **TILED, **ZLIB, predictor=3, byteorder=">"),
    "tile_pred3_f64_be": lib(FLOATS.astype("f8"), **TILED, **ZLIB, predictor=3, byteorder=">"),
    "tile_pred3_f16": lib(FLOATS.astype("f2"), **TILED, **ZLIB, predictor=3),
    "tile_pred3_f32_rgb": lib(smooth(SIDE, 90, 3, dtype="f4"), **TILED, **ZLIB, predictor=3,
                              photometric="rgb"),
    "strip_uneven_pred3": lib(FLOATS, **STRIPS, **ZLIB, predictor=3),
    "gdal_5band_pixel": gdal(smooth(5, SIDE, 90), tiled=True, blockxsize=32, blockysize=32,
                             compress="deflate", predictor=2, interleave="pixel"),
    "gdal_f32_pred2": gdal(FLOATS, tiled=True, blockxsize=32, blockysize=32, compress="deflate",
                           predictor=2),
    "gdal_f32_pred3": gdal(FLOATS, tiled=True, blockxsize=32, blockysize=32, compress="zstd",
                           predictor=3),
    "gdal_f64_pred3": gdal(FLOATS.astype("f8"), tiled=True, blockxsize=32, blockysize=32,
                           compress="zstd", predictor=3),
    "gdal_lzw_pred2": gdal(GRAY, compress="lzw", predictor=2),
    "gdal_lerc_deflate": gdal(FLOATS, tiled=True, blockxsize=32, blockysize=32,
                              compress="lerc_deflate", max_z_error=0),
    "gdal_lerc_zstd": gdal(FLOATS, tiled=True, blockxsize=32, blockysize=32,
                           compress="lerc_zstd", max_z_error=0),
    "gdal_webp": gdal(smooth(3, SIDE, 90, dtype="u1"), tiled=True, blockxsize=32, blockysize=32,
                      compress="webp", webp_lossless=True, interleave="pixel"),
    "gdal_nbits1": gdal((GRAY > 400).astype("u1"), nbits=1),
    "gdal_nbits4_tiled": gdal(BYTES & 15, nbits=4, tiled=True, blockxsize=32, blockysize=32),
    "gdal_nbits12": gdal(GRAY & 4095, nbits=12),
    "gdal_nbits12_deflate": gdal(GRAY & 4095, nbits=12, compress="deflate"),
    "gdal_nbits16_float": gdal(FLOATS.astype("f2").astype("f4"), nbits=16, stored="f2"),
    "gdal_ccitt4": gdal((GRAY > 400).astype("u1"), nbits=1, compress="ccittfax4"),
    "gdal_ccitt3": gdal((GRAY > 400).astype("u1"), nbits=1, compress="ccittfax3"),
    "gdal_ccittrle": gdal((GRAY > 400).astype("u1"), nbits=1, compress="ccittrle"),
    "gdal_ccitt4_tiled": gdal((GRAY > 400).astype("u1"), nbits=1, compress="ccittfax4",
                              tiled=True, blockxsize=32, blockysize=32),
    "gdal_complex_int": gdal((smooth(SIDE, 90, dtype="i2") - 1j * smooth(SIDE, 90, dtype="i2"))
                             .astype("c8"), cint=True),
    "gdal_complex_int_be": gdal((smooth(SIDE, 90, dtype="i2") * 2j).astype("c8"), cint=True,
                                endianness="big", tiled=True, blockxsize=32, blockysize=32),
}  # fmt: skip
"""What needs imagecodecs, or a codec of this package."""

JPEG = {
    "tile_jpeg_gray": lib(BYTES, **TILED, compression="jpeg"),
    "tile_jpeg_rgb_ycc420": lib(RGB, **TILED, compression="jpeg", photometric="rgb",
                                subsampling=(2, 2)),
    "tile_jpeg_rgb_ycc444": lib(RGB, **TILED, compression="jpeg", photometric="rgb",
                                subsampling=(1, 1)),
    "strip_jpeg_uneven": lib(BYTES, rowsperstrip=40, compression="jpeg"),
    "gdal_jpeg_gray": gdal(BYTES, tiled=True, blockxsize=32, blockysize=32, compress="jpeg"),
    "gdal_jpeg_rgb": gdal(smooth(3, SIDE, 90, dtype="u1"), tiled=True, blockxsize=32,
                          blockysize=32, compress="jpeg", photometric="rgb", interleave="pixel"),
    "gdal_jpeg_ycbcr": gdal(smooth(3, SIDE, 90, dtype="u1"), tiled=True, blockxsize=32,
                            blockysize=32, compress="jpeg", photometric="ycbcr",
                            interleave="pixel"),
    "gdal_jpeg_strips": gdal(BYTES, compress="jpeg"),
    "gdal_jpeg_band": gdal(smooth(3, SIDE, 90, dtype="u1"), tiled=True, blockxsize=32,
                           blockysize=32, compress="jpeg", interleave="band"),
}  # fmt: skip
"""Lossy: equal to the native library within one."""


def packed(bits, samples=1, byteorder="<"):
    """Return a writer of samples of a number of bits, as they lie in the file."""
    shape = (SIDE, 90) if samples == 1 else (SIDE, 90, samples)
    values = rng.integers(0, 2**bits, shape).astype("u1" if bits <= 8 else "u2")
    if bits == 1:
        values = values.astype(bool)

    def write(path):
        data = imagecodecs.packints_encode(values, bits, runlen=90 * samples)
        options = {"photometric": "rgb"} if samples == 3 else {}
        raw_tiff(path, data, SIDE, 90, bits, samples, byteorder, **options)
        return values

    return write


def raw_tiff(path, data, length, width, bits, samples=1, byteorder="<", tags=(), **_):
    """Write a TIFF with one strip of bytes that are given, and any tags."""
    import struct

    base = {
        256: (4, [width]),
        257: (4, [length]),
        258: (3, [bits] * samples),
        259: (3, [1]),
        262: (3, [2 if samples == 3 else 1]),
        273: (4, [0]),
        277: (3, [samples]),
        278: (4, [length]),
        279: (4, [len(data)]),
    }
    base.update(dict(tags))
    formats = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 11: "f", 12: "d"}
    entries, extra = [], b""
    start = 8 + 2 + 12 * len(base) + 4
    for code in sorted(base):
        kind, values = base[code]
        body = (
            values
            if isinstance(values, bytes)
            else struct.pack(f"{byteorder}{len(values)}{formats[kind]}", *values)
        )
        count = len(values)
        if len(body) > 4:
            field = struct.pack(f"{byteorder}I", start + len(extra))
            extra += body
        else:
            field = body.ljust(4, b"\0")
        entries.append((code, kind, count, field))
    place = start + len(extra)
    head = (b"II" if byteorder == "<" else b"MM") + struct.pack(f"{byteorder}HI", 42, 8)
    listed = b"".join(
        struct.pack(f"{byteorder}HHI", code, kind, count)
        + (struct.pack(f"{byteorder}I", place) if code == 273 and field == bytes(4) else field)
        for code, kind, count, field in entries
    )
    with open(path, "wb") as file:
        file.write(head + struct.pack(f"{byteorder}H", len(entries)) + listed + bytes(4))
        file.write(extra + bytes(data))


def fill_order_2(path):
    """Write eight-bit samples whose bits are in the other order."""
    data = imagecodecs.bitorder_encode(BYTES.tobytes())
    raw_tiff(path, data, *BYTES.shape, 8, tags={266: (3, [2])})
    return BYTES


def fill_order_2_zlib(path):
    """Write compressed bytes whose bits are in the other order."""
    import zlib

    data = imagecodecs.bitorder_encode(zlib.compress(GRAY.tobytes()))
    raw_tiff(path, data, *GRAY.shape, 16, tags={266: (3, [2]), 259: (3, [8])})
    return GRAY


def float24(path):
    """Write floats of three bytes."""
    data = imagecodecs.float24_encode(FLOATS, byteorder="<")
    raw_tiff(path, data, *FLOATS.shape, 24, tags={339: (3, [3])})
    return imagecodecs.float24_decode(data, byteorder="<").reshape(FLOATS.shape)


PACKED = {
    **{f"bits{bits}": packed(bits) for bits in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 14)},
    "bits12_be": packed(12, byteorder=">"),
    "bits4_rgb": packed(4, 3),
    "fillorder2": fill_order_2,
    "fillorder2_zlib": fill_order_2_zlib,
    "float24": float24,
    "bilevel": lib(GRAY > 400),
    "bilevel_uneven": lib(GRAY > 400, rowsperstrip=20),
}
"""Samples that are no elements as they lie in the file."""

ALL = {**STORED, **NUMCODECS, **IMAGECODECS, **PACKED}
