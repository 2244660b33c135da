"""Strips and tiles as odd writers leave them: as libtiff reads them, or named."""

import lzma
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import rasterio
import tifffile

from refmaker.errors import CodecError
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from refmaker.verification.verify import verify

ENCODERS = {
    "none": (1, bytes),
    "lzw": (5, imagecodecs.lzw_encode),
    "deflate": (8, zlib.compress),
    "packbits": (32773, imagecodecs.packbits_encode),
    "lzma": (34925, lzma.compress),
    "zstd": (50000, imagecodecs.zstd_encode),
}
RNG = np.random.default_rng(11)


def write(path, data, name, rows, *, extra=0, missing=0, which=None, counts=None):
    """Write a TIFF file whose strips decode to some bytes too many, or too few."""
    code, encode = ENCODERS[name]
    parts = []
    for at, start in enumerate(range(0, len(data), rows)):
        plain = data[start : start + rows].tobytes()
        if which is None or at in which:
            plain = plain[: len(plain) - missing] + b"\7" * extra
        parts.append(bytes(encode(plain)))
    strips_tiff(path, parts, data.shape, rows, {259: code}, counts)


def strips_tiff(path, parts, shape, rows, tags, counts=None, bits=8):
    """Write a TIFF file of strips that are given, with the directory behind them."""
    lengths = [len(part) for part in parts]
    offsets = np.cumsum([8, *lengths[:-1]]).tolist()
    start = 8 + sum(lengths)
    entries = {
        256: (3, [shape[1]]), 257: (3, [shape[0]]), 258: (3, [bits]), 259: (3, [1]),
        262: (3, [1]), 273: (4, offsets), 277: (3, [1]), 278: (3, [rows]),
        279: (4, lengths if counts is None else counts),
        **{code: (4, [value]) for code, value in tags.items()},
    }  # fmt: skip
    extra, ifd = b"", struct.pack("<H", len(entries))
    away = start + 2 + 12 * len(entries) + 4
    for code, (kind, values) in sorted(entries.items()):
        body = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(body) > 4:
            field, extra = struct.pack("<I", away + len(extra)), extra + body
        else:
            field = body.ljust(4, b"\0")
        ifd += struct.pack("<HHI", code, kind, len(values)) + field
    head = b"II*\0" + struct.pack("<I", start)
    path.write_bytes(head + b"".join(parts) + ifd + bytes(4) + extra)


def refused(path):
    """Return the row of a file's only image, which is refused."""
    group, report = scan(str(path))
    assert "image" not in dict(group.arrays())
    return next(row for row in report.rows if row.path == "/image")


def image(path):
    """Return a file's image, verified."""
    refs = ReferenceSet(*scan(str(path)))
    checks = verify(refs, sample=None, isolate="never")
    assert checks
    assert all(check.ok for check in checks), checks
    return open_stock(refs.group)["image"][...]


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "none"])
@pytest.mark.parametrize("height", [40, 43])
@pytest.mark.parametrize("which", [None, (0,), (2,), (-1,)])
def test_too_many_bytes_are_cut(name, height, which, tmp_path):
    data = RNG.integers(0, 9, (height, 32)).astype("u1")
    last = -(-height // 8) - 1
    chosen = None if which is None else [last if at < 0 else at for at in which]
    write(tmp_path / "a.tif", data, name, 8, extra=5, which=chosen)
    assert np.array_equal(image(tmp_path / "a.tif"), data)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "none"])
def test_too_few_bytes_are_named(name, tmp_path):
    data = RNG.integers(0, 9, (40, 32)).astype("u1")
    write(tmp_path / "a.tif", data, name, 8, missing=3)
    row = refused(tmp_path / "a.tif")
    assert row.code == "undecodable"
    assert "expected 256" in row.reason
    # One of five is a word of warning, and an error for whoever reads it.
    write(tmp_path / "b.tif", data, name, 8, missing=3, which=[1])
    group, report = scan(str(tmp_path / "b.tif"))
    assert any("row 1" in text and "cannot be read" in text for text in report.warnings)
    stock = open_stock(group)["image"]
    assert np.array_equal(stock[:8], data[:8])
    with pytest.raises((ValueError, RuntimeError)):
        stock[8:16]


@pytest.mark.parametrize("name", ["lzw", "deflate", "packbits", "png"])
def test_a_last_strip_that_is_too_short_is_not_filled_with_zeros(name, tmp_path):
    data = RNG.integers(1, 9, (43, 32)).astype("u1")
    if name == "png":
        data[:] = 5
        tifffile.imwrite(tmp_path / "a.tif", data, compression="png", rowsperstrip=8)
        assert np.array_equal(image(tmp_path / "a.tif"), data)
        return
    write(tmp_path / "a.tif", data, name, 8, missing=3, which=[5])
    group, report = scan(str(tmp_path / "a.tif"))
    assert any("row 5" in text for text in report.warnings)
    with pytest.raises((ValueError, RuntimeError)):
        open_stock(group)["image"][40:]


@pytest.mark.parametrize("name", ENCODERS)
def test_one_strip_without_a_byte_count_is_read(name, tmp_path):
    data = RNG.integers(0, 9, (40, 32)).astype("u1")
    write(tmp_path / "a.tif", data, name, 40, counts=[0])
    assert np.array_equal(image(tmp_path / "a.tif"), data)


def test_one_uncompressed_strip_whose_byte_count_is_too_small_is_read(tmp_path):
    data = RNG.integers(0, 9, (40, 32)).astype("u1")
    write(tmp_path / "a.tif", data, "none", 40, counts=[100])
    assert np.array_equal(image(tmp_path / "a.tif"), data)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("zero", [[0], [2], [0, 1, 2, 3, 4]])
def test_byte_counts_of_0_among_several_are_never_fill(name, zero, tmp_path):
    data = RNG.integers(1, 9, (40, 32)).astype("u1")
    write(tmp_path / "a.tif", data, name, 8)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        counts = list(tif.pages[0].databytecounts)
    for at in zero:
        counts[at] = 0
    write(tmp_path / "a.tif", data, name, 8, counts=counts)
    row = refused(tmp_path / "a.tif")
    assert row.code == "byte-counts"
    assert "byte count of 0" in row.reason


def test_nothing_is_decoded_unasked(tmp_path):
    data = RNG.integers(0, 9, (40, 32)).astype("u1")
    write(tmp_path / "a.tif", data, "deflate", 8, missing=3)
    group, report = scan(str(tmp_path / "a.tif"), options=ScanOptions(settings={"probe": "none"}))
    assert "image" in dict(group.arrays())
    assert not report.warnings


@pytest.mark.parametrize("compression", [3, 4])
@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_ccitt_strips_whose_last_has_fewer_rows(compression, fill_order, tmp_path):
    data = np.zeros((70, 64), "u1")
    data[::3, 5:40] = 1
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=64, height=70, count=1,
                       dtype="uint8", nbits=1, blockysize=32,
                       compress=f"CCITTFAX{compression}") as file:  # fmt: skip
        file.write(data, 1)
    if fill_order == 2:
        with tifffile.TiffFile(tmp_path / "a.tif") as tif:
            page = tif.pages[0]
            parts = []
            for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                tif.filehandle.seek(offset)
                parts.append(imagecodecs.bitorder_decode(tif.filehandle.read(length)))
            options = page.tags.valueof(292) or 0
            photometric = int(page.photometric)
        tags = {259: compression, 262: photometric, 266: 2, 292: options}
        strips_tiff(tmp_path / "a.tif", parts, (70, 64), 32, tags, bits=1)
    assert np.array_equal(image(tmp_path / "a.tif"), tifffile.imread(tmp_path / "a.tif"))


def short_tiles(path, data, name, *, separate, cut):
    """Write one tile in width, the lowest of which end with the image's rows."""
    code, encode = ENCODERS[name]
    rows, columns, samples = data.shape
    planes = [data[..., [at]] for at in range(samples)] if separate else [data]
    parts = []
    for plane in planes:
        padded = np.pad(plane, ((0, -rows % 16), (0, 64 - columns), (0, 0)))
        for top in range(0, rows, 16):
            part = padded[top : top + 16]
            if top + 16 > rows:
                part = part[: rows - top + cut]
            parts.append(encode(part.tobytes()))
    body, offsets = b"", []
    for part in parts:
        offsets.append(8 + len(body))
        body += part + bytes(len(part) % 2)
    entries = {
        256: (3, [columns]), 257: (3, [rows]), 258: (3, [8] * samples), 259: (3, [code]),
        262: (3, [1]), 277: (3, [samples]), 284: (3, [2 if separate else 1]), 322: (3, [64]),
        323: (3, [16]), 324: (4, offsets), 325: (4, [len(part) for part in parts]),
    }  # fmt: skip
    after, ifd = 8 + len(body), b""
    for tag, (kind, values) in entries.items():
        raw = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(raw) > 4:
            body += raw
            raw, after = struct.pack("<I", after), after + len(raw)
        ifd += struct.pack("<HHI", tag, kind, len(values)) + raw.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", 8 + len(body))
    path.write_bytes(head + body + struct.pack("<H", len(entries)) + ifd + bytes(4))


@pytest.mark.parametrize("name", ["lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("cut", [0, 2])
def test_lowest_tiles_may_end_with_the_image(name, separate, cut, tmp_path):
    data = RNG.integers(0, 9, (37, 35, 3)).astype("u1")
    short_tiles(tmp_path / "a.tif", data, name, separate=separate, cut=cut)
    found = image(tmp_path / "a.tif")
    assert np.array_equal(np.moveaxis(found, 0, -1) if separate else found, data)


def test_tiles_that_end_before_the_image_are_named(tmp_path):
    data = RNG.integers(0, 9, (37, 35, 3)).astype("u1")
    short_tiles(tmp_path / "a.tif", data, "deflate", separate=False, cut=-1)
    _, report = scan(str(tmp_path / "a.tif"))
    assert any("bytes when decoded" in text for text in report.warnings)


def damaged_fax(path, broken):
    """Write Group 4 in strips of 32 rows, and cut those whose numbers are given."""
    data = np.kron(RNG.random((24, 16)) < 0.4, np.ones((4, 4))).astype("u1")
    with rasterio.open(path, "w", driver="GTiff", width=64, height=96, count=1, dtype="uint8",
                       nbits=1, blockysize=32, compress="CCITTFAX4") as file:  # fmt: skip
        file.write(data, 1)
    with tifffile.TiffFile(path) as tif:
        page, parts = tif.pages[0], []
        for at, (offset, length) in enumerate(
            zip(page.dataoffsets, page.databytecounts, strict=True)
        ):
            tif.filehandle.seek(offset)
            part = tif.filehandle.read(length)
            parts.append(part[: length // 2] if at in broken else part)
        photometric = int(page.photometric)
    strips_tiff(path, parts, (96, 64), 32, {259: 4, 262: photometric}, bits=1)
    return data.astype(bool)


@pytest.mark.filterwarnings("ignore")
def test_group4_of_which_a_strip_is_damaged_raises_there(tmp_path):
    data = damaged_fax(tmp_path / "a.tif", {1})
    group, report = scan(str(tmp_path / "a.tif"))
    assert any("row 1" in text and "Group 4" in text for text in report.warnings)
    found = open_stock(group)["image"]
    assert np.array_equal(found[:32], data[:32])
    assert np.array_equal(found[64:], data[64:])
    with pytest.raises(CodecError, match="32 rows"):
        found[32:64]


@pytest.mark.filterwarnings("ignore")
def test_group4_that_is_damaged_is_refused(tmp_path):
    damaged_fax(tmp_path / "a.tif", {0, 1, 2})
    group, report = scan(str(tmp_path / "a.tif"))
    assert "image" not in dict(group.arrays())
    assert "Group 4" in next(row.reason for row in report.rows if row.path == "/image")


TAGS = (256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 292, 296, 305, 317, 320,
        330, 338, 339, 347, 530, 32997, 33550, 33922, 34735, 42112, 42113, 50838)  # fmt: skip


@pytest.mark.parametrize("code", TAGS)
def test_an_odd_tag_costs_itself_at_most(code, tmp_path):
    data = RNG.integers(0, 9, (12, 16)).astype("u1")
    for kind in (1, 2, 3, 4, 5, 7, 11, 12, 16, 18, 99):
        for count in (0, 1, 3, 2**31):
            raw = odd_tag(data, code, kind, count)
            (tmp_path / "a.tif").write_bytes(raw)
            group, report = scan(str(tmp_path / "a.tif"))
            row = next(row for row in report.rows if "image" in row.path or "page" in row.path)
            assert row.outcome in ("referenced", "skipped")
            if code in (274, 296, 305, 42112, 32997, 50838, 292, 330) and code != 32997:
                assert np.array_equal(open_stock(group)["image"][...], data)


def odd_tag(data, code, kind, count):
    """Return a TIFF file of one strip, one of whose tags is of another type and count."""
    entries = {
        256: (3, 1, data.shape[1]), 257: (3, 1, data.shape[0]), 258: (3, 1, 8), 259: (3, 1, 1),
        262: (3, 1, 1), 273: (4, 1, 8), 277: (3, 1, 1), 278: (3, 1, data.shape[0]),
        279: (4, 1, data.size),
    }  # fmt: skip
    entries[code] = (kind, count, 1)
    body = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items()))
    ifd = struct.pack("<H", len(entries)) + body + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + data.size) + data.tobytes() + ifd + bytes(64)
