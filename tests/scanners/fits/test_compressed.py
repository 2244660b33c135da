"""Tile-compressed images against astropy: algorithms, types, tiles, quantisation."""

import fitsio
import numpy as np
import pytest
from astropy.io import fits

import refmaker
from refmaker.errors import MetadataError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.fits import FITSScanner
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.fits import files

SHAPES = [((45, 70), None), ((45, 70), (16, 20)), ((45, 70), (45, 70)), ((5, 9, 14), (2, 4, 5))]


def image(kind, shape, seed=1):
    """Return a smooth image with some noise."""
    chance = np.random.default_rng(seed)
    made = 3 * np.indices(shape).sum(axis=0) + chance.integers(0, 9, shape)
    if np.dtype(kind).kind != "f":
        return (made % 200).astype(kind)
    made = (made / 7 + chance.normal(0, 1, shape)).astype(kind)
    made.reshape(-1)[[5, 200, 201]] = np.nan
    made.reshape(-1)[300:310] = 0
    return made


def write(path, array, tile, **settings):
    unit = fits.CompImageHDU(array, tile_shape=tile, name="SCI", **settings)
    return files.write(path, fits.PrimaryHDU(), unit)


def assert_equal(path, **fields):
    """Assert that references give what astropy reads; return the array."""
    group, report = files.scan(path, **fields)
    assert not report.skipped, report.skipped
    array = group["SCI/data"]
    with Source(path) as source, FITSScanner().native(source) as native:
        true = native.read("SCI/data", array, (slice(None),) * len(array.shape))
    assert same_values(np.asarray(decode_array(array)), true)
    assert same_values(np.asarray(open_stock(group)["SCI/data"][...]), true)
    return array


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4"])
@pytest.mark.parametrize(("shape", "tile"), SHAPES)
def test_integers(tmp_path, algorithm, kind, shape, tile):
    true = image(kind, shape)
    path = write(tmp_path / "a.fits", true, tile, compression_type=algorithm)
    array = assert_equal(path)
    np.testing.assert_array_equal(decode_array(array), true)
    assert_equal(path, chunk_bytes=None)
    assert_equal(path, chunk_bytes=2000)


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize(("shape", "tile"), SHAPES)
@pytest.mark.parametrize("method", [-1, 1, 2])
def test_quantised_floats(tmp_path, algorithm, kind, shape, tile, method):
    path = write(
        tmp_path / "a.fits",
        image(kind, shape),
        tile,
        compression_type=algorithm,
        quantize_method=method,
        quantize_level=16,
        dither_seed=9998,
    )
    assert_equal(path)
    assert_equal(path, chunk_bytes=2000)


@pytest.mark.parametrize("algorithm", ["GZIP_1", "GZIP_2", "NOCOMPRESS"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats_as_they_are(tmp_path, algorithm, kind):
    true = image(kind, (45, 70))
    path = write(tmp_path / "a.fits", true, (16, 20), compression_type=algorithm, quantize_level=0)
    array = assert_equal(path)
    np.testing.assert_array_equal(decode_array(array), true)


def test_tiles_longer_than_the_sequence_of_random_numbers(tmp_path):
    true = np.random.default_rng(3).normal(size=(150, 160)).astype("f4")
    settings = {"compression_type": "RICE_1", "quantize_method": 1, "dither_seed": 10000}
    assert_equal(write(tmp_path / "a.fits", true, (150, 160), **settings))


def test_neighbours_share_a_chunk_and_every_chunk_has_its_own_length(tmp_path):
    true = image("i4", (400, 300))
    path = write(tmp_path / "a.fits", true, None, compression_type="NOCOMPRESS")
    array = assert_equal(path, chunk_bytes=10 * 1200)
    assert array.chunk_shape == (10, 300)
    lengths = [array.chunks.get(i).length for i in range(array.chunks.size)]
    assert len(set(lengths)) == 40
    assert sum(lengths) < 400 * 1200 + 40 * 40
    group, _ = files.scan(path)
    assert group["SCI/data"].chunks.size == 1


def test_tiles_of_equal_length_at_the_very_end_of_a_file(tmp_path):
    path = write(tmp_path / "a.fits", image("i4", (90, 128)), None, compression_type="NOCOMPRESS")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw.rstrip(b"\0"))])
    for target in (None, 2000, 2**22):
        group, report = files.scan(path, chunk_bytes=target)
        if not report.skipped:
            np.testing.assert_array_equal(decode_array(group["SCI/data"]), image("i4", (90, 128)))
        assert {row.code for row in report.skipped} <= {"fits-tiles", "truncated"}


FLAT = [((45, 70), None), ((45, 70), (16, 20)), ((3, 38, 70), (1, 16, 35))]


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f4"])
@pytest.mark.parametrize(("shape", "tile"), FLAT)
@pytest.mark.parametrize(("scale", "smooth"), [(0, 1), (4, 0), (40, 1)])
def test_hcompress(tmp_path, kind, shape, tile, scale, smooth):
    if tile is None:  # a row each is too little for this algorithm
        tile = (15, shape[1])
    true = np.nan_to_num(image(kind, shape))
    settings = {"hcomp_scale": scale, "hcomp_smooth": smooth}
    if np.dtype(kind).kind == "f":
        settings |= {"quantize_level": 16, "quantize_method": 1 + smooth}
    path = write(tmp_path / "a.fits", true, tile, compression_type="HCOMPRESS_1", **settings)
    array = assert_equal(path, chunk_bytes=4000)
    if not scale and np.dtype(kind).kind != "f":
        np.testing.assert_array_equal(decode_array(array), true)


@pytest.mark.parametrize("kind", ["u1", "i4"])
@pytest.mark.parametrize(("shape", "tile"), SHAPES[1:])
@pytest.mark.parametrize("sparse", [False, True])
def test_plio(tmp_path, kind, shape, tile, sparse):
    true = image(kind, shape)
    if sparse:
        true[true % 7 != 0] = 0
    path = write(tmp_path / "a.fits", true, tile, compression_type="PLIO_1")
    np.testing.assert_array_equal(decode_array(assert_equal(path, chunk_bytes=4000)), true)


KINDS = ["u1", "i2", "u2", "i4", "f4", "f8"]
WRITTEN = [(name, kind) for name in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1") for kind in KINDS]


@pytest.mark.parametrize(("algorithm", "kind"), WRITTEN + [("PLIO_1", kind) for kind in KINDS[:4]])
def test_what_cfitsio_writes(tmp_path, algorithm, kind):
    true = np.nan_to_num(image(kind, (45, 70)))
    if algorithm == "PLIO_1":
        true = np.abs(true)
    path = tmp_path / "a.fits"
    with fitsio.FITS(path, "rw") as file:
        file.write(true, compress=algorithm, extname="SCI", tile_dims=(16, 35))
    with fitsio.FITS(path) as file:
        known = file["SCI"].read()
    np.testing.assert_array_equal(decode_array(assert_equal(path)), known)


@pytest.mark.parametrize("algorithm", ["RICE_1", "HCOMPRESS_1"])
def test_floats_that_are_not_quantised_are_refused_by_name(tmp_path, algorithm):
    array = np.nan_to_num(image("f4", (45, 70)))
    settings = {"compression_type": algorithm, "quantize_level": 0}
    path = write(tmp_path / "a.fits", array, (15, 70), **settings)
    group, report = files.scan(path)
    (row,) = report.skipped
    assert (row.path, row.code) == ("/SCI/data", "fits-unquantised")
    assert row.outcome is Outcome.SKIPPED
    assert not group["SCI"].members


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"ZCMPTYPE= 'RICE_1", b"ZCMPTYPE= 'LICE_1", "fits-lice-1"),
        (b"ZNAXIS1 =                   70", b"ZNAXIS1 =                   -7", "fits-header"),
        (b"ZBITPIX =                   16", b"ZBITPIX =                   17", "fits-header"),
        (b"ZVAL2   =                    2", b"ZVAL2   =                    8", "fits-rice"),
        (b"ZNAXIS2 =                   45", b"ZNAXIS2 =                   46", "fits-header"),
    ],
)
def test_damaged_keywords(tmp_path, old, new, code):
    path = write(tmp_path / "a.fits", image("i2", (45, 70)), None, compression_type="RICE_1")
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))
    assert [row.code for row in files.scan(path)[1].skipped] == [code]


def test_descriptors_that_lead_out_of_the_heap(tmp_path):
    path = write(tmp_path / "a.fits", image("i2", (45, 70)), None, compression_type="RICE_1")
    raw = bytearray(path.read_bytes())
    start = raw.index(b"END" + b" " * 77, 2880) // 2880 * 2880 + 2880
    for value in (2**31 - 1, 2**20, -5):
        raw[start + 4 : start + 8] = (value % 2**32).to_bytes(4, "big")
        path.write_bytes(raw)
        (row,) = files.scan(path)[1].skipped
        assert row.code == "fits-header"


@pytest.mark.parametrize("name", ["BLANK", "ZBLANK"])
def test_missing_values_of_integers(tmp_path, name):
    path = write(tmp_path / "a.fits", image("i2", (45, 70)), None, compression_type="RICE_1")
    raw = path.read_bytes()
    old = b"ZCMPTYPE="
    card = f"{name:8}=                   77".ljust(80).encode()
    at = raw.index(old)
    end = raw.index(b"END".ljust(80), at)
    assert raw[end + 80 : end + 160].strip() == b""
    path.write_bytes(raw[:end] + card + raw[end : end + 80] + raw[end + 160 :])
    array = files.scan(path)[0]["SCI/data"]
    assert (array.fill_value, array.attributes["_FillValue"]) == (77, 77)


SINGLE = [
    *((name, kind) for name in ("GZIP_1", "GZIP_2", "NOCOMPRESS") for kind in ("u2", "i4", "f4")),
    *((name, kind) for name in ("RICE_1", "HCOMPRESS_1") for kind in ("u1", "u2", "i4")),
    ("PLIO_1", "i2"),
]


@pytest.mark.parametrize(("algorithm", "kind"), SINGLE)
def test_tiles_of_one_shape_are_combined_across_files(tmp_path, algorithm, kind):
    true = [np.nan_to_num(image(kind, (48, 40), seed)) for seed in range(3)]
    settings = {"compression_type": algorithm, "quantize_level": 0}
    paths = [write(tmp_path / f"{i}.fits", t, (16, 20), **settings) for i, t in enumerate(true)]
    sets = [refmaker.scan(str(path), settings={"fits-tiles": "single"}) for path in paths]
    assert sets[0].group["SCI/data"].chunk_shape == (16, 20)
    cube = refmaker.combine(sets, coords={"time": "index"})
    np.testing.assert_array_equal(open_stock(cube.group)["SCI/data"][...], np.stack(true))
    (check,) = [check for check in refmaker.verify(cube) if check.path == "SCI/data"]
    assert check.ok
    for chosen in (sets[0], refmaker.scan(str(paths[0]))):
        assert all(check.ok for check in refmaker.verify(chosen))


def test_large_tiles_of_integers_are_chunks_of_their_own(tmp_path):
    true = image("i2", (400, 256))
    path = write(tmp_path / "a.fits", true, (200, 256), compression_type="RICE_1")
    array = assert_equal(path)
    assert array.chunk_shape == (200, 256)
    assert array.compressor["id"] == "imagecodecs_rcomp"
    path = write(tmp_path / "b.fits", true, (150, 256), compression_type="RICE_1")
    assert assert_equal(path).compressor["id"] == "refmaker.fits_tiles"


def test_quantised_floats_of_many_files_are_not_combined(tmp_path):
    sets = []
    for seed in range(2):
        path = write(tmp_path / f"{seed}.fits", image("f4", (48, 40), seed), (16, 20))
        sets.append(refmaker.scan(str(path), settings={"fits-tiles": "single"}))
    with pytest.raises(MetadataError, match="SCI/data") as caught:
        refmaker.combine(sets, coords={"time": "index"})
    assert "inline" not in str(caught.value)  # nothing encodes by that codec
    split = refmaker.combine(sets, coords={"time": "index"}, incompatible="split")
    arrays = [array for name, array in split.group.arrays() if name.endswith("SCI/data")]
    assert [array.shape for array in arrays] == [(1, 48, 40)] * 2


@pytest.mark.parametrize("old", [b"ZCMPTYPE", b"RICE_1  ", b"BLOCKSIZ", b"TFORM1  ", b"ZTILE1  "])
def test_damaged_keywords_of_any_kind_cost_the_image_alone(tmp_path, old):
    path = write(tmp_path / "a.fits", image("i2", (45, 70)), (15, 35), compression_type="RICE_1")
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, b"Q" * len(old)))
    group, report = files.scan(path)
    assert "SCI" in group.members
    for row in report.skipped:
        assert row.path == "/SCI/data"


@pytest.mark.parametrize("single", [False, True])
def test_integers_that_are_wider_than_the_image_says(tmp_path, single):
    true = image("i4", (48, 40))
    path = write(tmp_path / "a.fits", true, (16, 20), compression_type="GZIP_1")
    old, new = b"ZBITPIX =                   32", b"ZBITPIX =                   16"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    choice = {"settings": {"fits-tiles": "single"}} if single else {}
    array = assert_equal(path, **choice)
    assert array.dtype == np.dtype(">i2")
    np.testing.assert_array_equal(decode_array(array), true)
