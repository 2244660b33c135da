"""Binary tables against astropy: every type, vectors, scaling, missing values."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.fits import FITSScanner
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.fits import files

ROWS = 300


def columns(rows=ROWS):
    chance = np.random.default_rng(5)
    flat = {letter: files.values(kind, rows) for letter, kind in zip("BIJKED", (
        "u1", "i2", "i4", "i8", "f4", "f8"), strict=True)}  # fmt: skip
    made = [fits.Column(f"flat_{letter}", letter, array=array) for letter, array in flat.items()]
    vectors = chance.normal(size=(rows, 12)).astype("f4")
    bits = chance.integers(0, 2, (rows, 11)).astype(bool)
    texts = np.array([f"row {i}" for i in range(rows)])
    made += [
        fits.Column("logical", "L", array=chance.integers(0, 2, rows).astype(bool)),
        fits.Column("bits", "11X", array=bits),
        fits.Column("text", "9A", array=texts),
        fits.Column("vector", "12E", array=vectors),
        fits.Column("cube", "12E", dim="(2,3,2)", array=vectors.reshape(rows, 2, 3, 2)),
        fits.Column("complex", "C", array=(vectors[:, 0] + 1j * vectors[:, 1]).astype("c8")),
        fits.Column("double_complex", "M", array=vectors[:, 0] + 1j * vectors[:, 1]),
        fits.Column("unsigned", "I", bzero=32768, array=files.values("u2", rows)),
        fits.Column("unsigned_32", "J", bzero=2**31, array=files.values("u4", rows)),
        fits.Column("unsigned_64", "K", bzero=2**63, array=files.values("u8", rows)),
    ]
    return made


def write(path, made, **keywords):
    unit = fits.BinTableHDU.from_columns(made, name="EVENTS")
    unit.header.update(keywords)
    return files.write(path, fits.PrimaryHDU(), unit)


def assert_equal(path, **fields):
    group, report = files.scan(path, **fields)
    assert not report.skipped, report.skipped
    stock = open_stock(group)
    with Source(path) as source, FITSScanner().native(source) as native:
        for name, array in group.arrays():
            true = native.read(name, array, (slice(None),) * len(array.shape))
            assert same_values(np.asarray(decode_array(array)), true), name
            assert same_values(np.asarray(stock[name][...]), true), name
    return group


@pytest.mark.parametrize("fields", [{}, {"inline_threshold": 0, "chunk_bytes": 3000}, {
    "chunk_bytes": None}, {"chunk_bytes": 1}, {"inline_threshold": 10**6}])  # fmt: skip
def test_every_type(tmp_path, fields):
    path = write(tmp_path / "a.fits", columns())
    group = assert_equal(path, **fields)
    assert len(group["EVENTS"].members) == 16
    with files.in_memory(path) as opened:
        rows = opened[1].data
        for name in ("flat_J", "cube", "unsigned_64", "unsigned", "complex"):
            np.testing.assert_array_equal(decode_array(group[f"EVENTS/{name}"]), rows[name])
        texts = decode_array(group["EVENTS/text"])
        assert [text.decode() for text in texts] == list(rows["text"])
    assert group["EVENTS/cube"].shape == (ROWS, 2, 3, 2)
    assert group["EVENTS/cube"].dimension_names == ("NAXIS2", "cube_3", "cube_2", "cube_1")
    assert group["EVENTS/unsigned"].dtype == np.dtype(">u2")


def test_scaled_columns_and_missing_values(tmp_path):
    stored = np.arange(ROWS, dtype=np.int16)
    unit = [fits.Column("x", "I", array=stored)]
    keywords = {"TSCAL1": 0.5, "TZERO1": 10.0, "TNULL1": 7}
    path = write(tmp_path / "a.fits", unit, **keywords)
    array = files.scan(path)[0]["EVENTS/x"]
    np.testing.assert_array_equal(decode_array(array), stored)
    assert dict(array.attributes) == {"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": 7}
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker", group="EVENTS") as opened:
        true = np.where(stored == 7, np.nan, stored * 0.5 + 10)
        np.testing.assert_allclose(opened["x"].to_numpy(), true)


def test_undefined_logicals_are_told_from_false(tmp_path):
    table = ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 1", "NAXIS2  = 3", "TFIELDS = 1")
    path = tmp_path / "a.fits"
    unit = files.cards("XTENSION= 'BINTABLE'", *table, "TFORM1  = 'L'", data=b"TF\0")
    path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + unit)
    values = decode_array(files.scan(path)[0]["HDU1/col1"])
    assert list(values) == [b"T", b"F", b""]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("TFIELDS = 1", "TFORM1  = '3J'"), "fits-header"),
        (("TFIELDS = 1", "TFORM1  = '1Z'"), "fits-header"),
        (("TFIELDS = 2", "TFORM1  = '1J'"), "fits-header"),
        (("TFIELDS = -1",), "fits-header"),
        (("TFIELDS = 1", "TFORM1  = '1J'", "TSCAL1  = 0"), "fits-header"),
        (("TFIELDS = 1", "TFORM1  = '4L'", "TSCAL1  = 3"), "fits-scaling"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, lines, code):
    table = ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 3")
    path = tmp_path / "a.fits"
    unit = files.cards("XTENSION= 'BINTABLE'", *table, *lines, data=bytes(12))
    path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + unit)
    assert [row.code for row in files.scan(path)[1].skipped] == [code]


def test_odd_names_and_dimensions(tmp_path):
    table = ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 16", "NAXIS2  = 3", "TFIELDS = 4")
    forms = [f"TFORM{i}  = '1J'" for i in range(1, 5)]
    names = ["TTYPE1  = 'a/b'", "TTYPE2  = 'x'", "TTYPE3  = 'x'", "TDIM2   = '(7,7)'"]
    path = tmp_path / "a.fits"
    unit = files.cards("XTENSION= 'BINTABLE'", *table, *forms, *names, data=bytes(48))
    path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + unit)
    group, report = files.scan(path)
    assert list(group["HDU1"].members) == ["a_b", "x", "x_col3", "col4"]
    assert len(report.warnings) == 3
    assert not report.skipped


def test_tables_without_rows(tmp_path):
    path = write(tmp_path / "a.fits", [fits.Column("x", "3J")])
    group, report = files.scan(path)
    assert group["EVENTS/x"].shape == (0, 3)
    assert report.rows[-1].outcome is Outcome.REFERENCED


def test_verify_says_equal(tmp_path):
    path = write(tmp_path / "a.fits", columns())
    checks = refmaker.verify(refmaker.scan(str(path)))
    assert len(checks) == 16
    assert all(check.ok for check in checks), checks


LETTERS = "LXBIJKAEDCM"
BYTES = dict(zip(LETTERS, (1, 0.125, 1, 2, 4, 8, 1, 4, 8, 8, 16), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LETTERS), st.integers(1, 7)), min_size=1, max_size=6),
    st.integers(1, 40),
    st.sampled_from([{}, {"inline_threshold": 0}, {"inline_threshold": 0, "chunk_bytes": 40}]),
    st.integers(0, 2**32),
)
def test_any_layout(columns, rows, fields, seed):
    width = sum(int(np.ceil(repeat * BYTES[letter])) for letter, repeat in columns)
    content = np.random.default_rng(seed).integers(0, 128, rows * width, np.uint8)
    lines = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", f"NAXIS1  = {width}"]
    lines += [f"NAXIS2  = {rows}", "PCOUNT  = 0", "GCOUNT  = 1", f"TFIELDS = {len(columns)}"]
    lines.append("EXTNAME = 'EVENTS'")
    for number, (letter, repeat) in enumerate(columns, start=1):
        lines += [f"TFORM{number}  = '{repeat}{letter}'", f"TTYPE{number}  = 'c{number}'"]
    unit = files.cards(*lines, data=content.tobytes())
    with files.temporary(fits.PrimaryHDU()) as path:
        path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + unit)
        group = assert_equal(path, **fields)
    assert list(group["EVENTS"].members) == [f"c{i + 1}" for i in range(len(columns))]


def test_units_of_columns(tmp_path):
    made = [
        fits.Column("x", "J", array=np.arange(ROWS), unit="km s-1"),
        fits.Column("flag", "L", array=np.ones(ROWS, bool), unit="none"),
        fits.Column("name", "3A", array=np.full(ROWS, "abc"), unit="text"),
    ]
    group, _ = files.scan(write(tmp_path / "a.fits", made))
    units = {name: array.attributes["units"] for name, array in group["EVENTS"].members.items()}
    assert units == {"x": "km s-1", "flag": "none", "name": "text"}
