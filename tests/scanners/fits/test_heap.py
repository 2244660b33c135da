"""Columns of lists in the heap of a table, against astropy and fitsio."""

import fitsio
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import refmaker
from refmaker.model.report import Outcome
from refmaker.testing.reading import decode_array
from tests.scanners.fits import files
from tests.scanners.fits.test_tables import assert_equal, write

ROWS = 300
KINDS = {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8", "C": "c8", "M": "c16"}


def lists(kind, lengths, seed=0):
    """Return lists of random numbers as one array of objects."""
    made = np.empty(len(lengths), object)
    flat = files.values(kind if kind[0] != "c" else "f4", 2 * sum(lengths) + 10, seed)
    at = 0
    for number, length in enumerate(lengths):
        made[number] = flat[at : at + length].astype(kind)
        at += length
    return made


def ragged(rows=ROWS):
    return np.random.default_rng(3).integers(0, 9, rows).tolist()


@pytest.mark.parametrize("letter", KINDS)
@pytest.mark.parametrize("form", ["P", "Q"])
@pytest.mark.parametrize("fields", [{}, {"inline_threshold": 0}])
def test_lists_are_all_elements_and_their_numbers(tmp_path, letter, form, fields):
    true = lists(KINDS[letter], ragged())
    made = [
        fits.Column("x", "J", array=np.arange(ROWS)),
        fits.Column("v", f"{form}{letter}()", array=true),
    ]
    group = assert_equal(write(tmp_path / "a.fits", made), **fields)["EVENTS"]
    assert list(group.members) == ["x", "v", "v_count"]
    np.testing.assert_array_equal(decode_array(group["v"]), np.concatenate(true))
    np.testing.assert_array_equal(decode_array(group["v_count"]), ragged())
    assert group["v"].dimension_names == ("v_element",)
    assert group["v_count"].dimension_names == ("NAXIS2",)
    assert group["v_count"].attributes["sample_dimension"] == "v_element"
    assert group["v"].chunks.referenced == (1 if fields or group["v"].nbytes > 1024 else 0)


@pytest.mark.parametrize("letter", KINDS)
@pytest.mark.parametrize("fields", [{}, {"inline_threshold": 0}, {"chunk_bytes": 500}])
def test_lists_of_one_length_are_rows(tmp_path, letter, fields):
    true = lists(KINDS[letter], [7] * ROWS)
    path = write(tmp_path / "a.fits", [fits.Column("v", f"P{letter}()", array=true)])
    group = assert_equal(path, **fields)["EVENTS"]
    assert list(group.members) == ["v"]
    np.testing.assert_array_equal(decode_array(group["v"]), np.stack(true))
    assert group["v"].dimension_names == ("NAXIS2", "v_1")


def scattered(path, one, two):
    """Write two columns of lists row by row, so that their elements take turns in the heap."""
    table = [("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 16), ("NAXIS2", len(one)), ("TFIELDS", 2)]
    heap, descriptors = b"", []
    for pair in zip(one, two, strict=True):
        for values in pair:
            descriptors += [len(values), len(heap)]
            heap += values.astype(values.dtype.newbyteorder(">")).tobytes()
    lines = [f"{name:8}= {value}" for name, value in [*table, ("PCOUNT", len(heap))]]
    forms = ["TFORM1  = '1PE'", "TFORM2  = '1PI'", "TTYPE1  = 'a'", "TTYPE2  = 'b'"]
    data = np.array(descriptors, ">i4").tobytes() + heap
    unit = files.cards("XTENSION= 'BINTABLE'", *lines, *forms, "EXTNAME = 'EVENTS'", data=data)
    path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + unit)
    return path


def test_lists_that_take_turns_in_the_heap(tmp_path):
    one, two = lists("f4", ragged()), lists("i2", ragged()[::-1])
    path = scattered(tmp_path / "a.fits", one, two)
    group = assert_equal(path, inline_threshold=0)["EVENTS"]
    np.testing.assert_array_equal(decode_array(group["a"]), np.concatenate(one))
    np.testing.assert_array_equal(decode_array(group["b"]), np.concatenate(two))
    _, report = files.scan(path, inline_budget=1000)
    assert [(row.path, row.code) for row in report.skipped] == [
        ("/EVENTS/a", "fits-heap"), ("/EVENTS/b", "fits-heap")
    ]  # fmt: skip
    assert "inline_budget=" in report.skipped[0].reason


@pytest.mark.parametrize(("length", "chunks"), [(2000, ROWS), (5, 0)])
def test_rows_that_take_turns_in_the_heap(tmp_path, length, chunks):
    one, two = lists("f4", [length] * ROWS), lists("i2", ragged())
    group = assert_equal(scattered(tmp_path / "a.fits", one, two))["EVENTS"]
    assert group["a"].chunks.referenced == chunks
    np.testing.assert_array_equal(decode_array(group["a"]), np.stack(one))


def test_what_cfitsio_writes(tmp_path):
    path = tmp_path / "a.fits"
    true = lists("f8", ragged(40), 5)
    rows = np.zeros(40, [("x", "i4"), ("v", object)])
    rows["x"], rows["v"] = np.arange(40), true
    with fitsio.FITS(path, "rw") as file:
        file.write_table(rows, extname="EVENTS")
    group = assert_equal(path)["EVENTS"]
    np.testing.assert_array_equal(decode_array(group["v"]), np.concatenate(true))


def test_texts(tmp_path):
    true = np.array(["", "one", "a longer text", "x"], object)
    path = write(tmp_path / "a.fits", [fits.Column("t", "PA()", array=true)])
    group = assert_equal(path)["EVENTS"]
    assert list(decode_array(group["t"])) == list(true)
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker", group="EVENTS") as opened:
        assert opened["t"].to_numpy().tolist() == list(true)


def test_scaled_and_unsigned_lists(tmp_path):
    true = lists("i2", ragged())
    path = write(
        tmp_path / "a.fits", [fits.Column("v", "PI()", array=true)],
        TSCAL1=0.5, TZERO1=3.0, TUNIT1="K",
    )  # fmt: skip
    array = files.scan(path)[0]["EVENTS/v"]
    assert dict(array.attributes) == {"units": "K", "scale_factor": 0.5, "add_offset": 3.0}
    np.testing.assert_array_equal(decode_array(array), np.concatenate(true))
    path = write(tmp_path / "b.fits", [fits.Column("v", "PI()", array=true)], TZERO1=32768)
    array = files.scan(path)[0]["EVENTS/v"]
    wanted = (np.concatenate(true).astype("i4") + 32768).astype("u2")
    np.testing.assert_array_equal(decode_array(array), wanted)


@pytest.mark.parametrize("lengths", [[0] * 5, []])
def test_empty_lists(tmp_path, lengths):
    path = write(tmp_path / "a.fits", [fits.Column("v", "PJ()", array=lists("i4", lengths))])
    group, report = files.scan(path)
    assert group["EVENTS/v"].shape == (0,)
    np.testing.assert_array_equal(decode_array(group["EVENTS/v_count"]), lengths)
    assert not report.skipped


@pytest.mark.parametrize("value", [2**31 - 1, -1, 10**6])
@pytest.mark.parametrize("word", [0, 1])
def test_descriptors_that_lead_out_of_the_heap(tmp_path, value, word):
    path = scattered(tmp_path / "a.fits", lists("f4", [3] * 20), lists("i2", [2] * 20))
    raw = bytearray(path.read_bytes())
    at = 2 * 2880 + 5 * 16 + 4 * word
    raw[at : at + 4] = (value % 2**32).to_bytes(4, "big")
    path.write_bytes(raw)
    group, report = files.scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [("/EVENTS/a", "fits-header")]
    assert list(group["EVENTS"].members) == ["b"]


def test_bits_in_the_heap_are_refused_by_name(tmp_path):
    path = scattered(tmp_path / "a.fits", lists("f4", [3] * 20), lists("i2", [2] * 20))
    path.write_bytes(path.read_bytes().replace(b"'1PE'", b"'1PX'"))
    (row,) = files.scan(path)[1].skipped
    assert (row.path, row.code, row.outcome) == ("/EVENTS/a", "fits-heap", Outcome.SKIPPED)
