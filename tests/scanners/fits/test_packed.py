"""Files that are compressed with gzip as a whole, and the checksums of units."""

import gzip

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import refmaker
from refmaker.errors import CodecError
from refmaker.io.source import Source
from refmaker.scanners.fits import FITSScanner, packed
from refmaker.testing.reading import decode_array, open_stock
from refmaker.verification.verify import same_values
from tests.scanners.fits import files
from tests.scanners.fits.test_compressed import image
from tests.scanners.fits.test_tables import columns


def units():
    fields = [
        fits.Column("x", "F12.3", array=np.arange(300.0)),
        fits.Column("t", "A3", array=["abc"] * 300),
    ]
    text = fits.TableHDU.from_columns(fields, name="TEXT")
    return [
        fits.PrimaryHDU(files.values("u2", (60, 41))),
        fits.ImageHDU(files.values("u8", (5, 30, 17)), name="SCI"),
        fits.ImageHDU(files.values("f4", (3, 4)), name="SMALL"),
        fits.BinTableHDU.from_columns(columns(), name="EVENTS"),
        text,
    ]


@pytest.mark.parametrize("fields", [{}, {"inline_threshold": 0}, {"chunk_bytes": 100}])
def test_every_array_is_that_of_the_plain_file(tmp_path, fields):
    path = files.write(tmp_path / "a.fits", *units())
    plain, _ = files.scan(path)
    path = files.packed(path)
    group, report = files.scan(path, **fields)
    assert not report.skipped
    assert any("reads and unpacks all of it" in text for text in report.warnings)
    assert [name for name, _ in group.arrays()] == [name for name, _ in plain.arrays()]
    stock = open_stock(group)
    with Source(path) as source, FITSScanner().native(source) as native:
        for name, array in group.arrays():
            true = decode_array(plain[name])
            assert same_values(np.asarray(decode_array(array)), true), name
            assert same_values(np.asarray(stock[name][...]), true), name
            whole = tuple(slice(0, n) for n in array.shape)
            assert same_values(native.read(name, array, whole), true), name


def test_every_verb_takes_them(tmp_path):
    path = files.packed(files.write(tmp_path / "a.fits", *units()))
    refs = refmaker.scan(str(path))
    refs.write(tmp_path / "a.json")
    assert all(check.ok for check in refmaker.verify(refs))
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker") as opened:
        np.testing.assert_array_equal(opened["data"].to_numpy(), files.values("u2", (60, 41)))


def test_what_cannot_be_taken_out_is_refused_by_name(tmp_path):
    lists = np.array([np.arange(i % 4) for i in range(300)], dtype=object)
    tiles = fits.CompImageHDU(image("i2", (45, 70)), name="SCI")
    table = fits.BinTableHDU.from_columns([fits.Column("v", "PJ()", array=lists)], name="EVENTS")
    path = files.packed(files.write(tmp_path / "a.fits", fits.PrimaryHDU(), tiles, table))
    _, report = files.scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [
        ("/SCI/data", "fits-gzip"), ("/EVENTS/v", "fits-gzip")
    ]  # fmt: skip
    assert all("gunzip" in row.reason for row in report.skipped)


def test_units_too_far_in_have_a_row_unless_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_MAX_HEAD", 20000)
    first = fits.PrimaryHDU(files.values("f4", (100, 100)))
    path = files.packed(files.write(tmp_path / "a.fits", first))
    group, report = files.scan(path)
    assert not report.skipped
    np.testing.assert_array_equal(decode_array(group["data"]), files.values("f4", (100, 100)))
    path = files.packed(files.write(tmp_path / "b.fits", first, fits.ImageHDU(np.zeros(5000))))
    group, report = files.scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [("/HDU1", "fits-gzip")]
    np.testing.assert_array_equal(decode_array(group["data"]), files.values("f4", (100, 100)))


def test_streams_of_many_members(tmp_path):
    path = files.write(tmp_path / "a.fits", *units())
    raw = path.read_bytes()
    parts = [gzip.compress(raw[at : at + 1000]) for at in range(0, len(raw), 1000)]
    many = tmp_path / "b.fits.gz"
    many.write_bytes(b"".join(parts))
    group, report = files.scan(many)
    assert not report.skipped
    np.testing.assert_array_equal(decode_array(group["SCI/data"]), files.values("u8", (5, 30, 17)))


@pytest.mark.parametrize("end", [30, 3000, -9])
def test_streams_that_end_early(tmp_path, end):
    chance = np.random.default_rng(0).integers(0, 255, (200, 100), dtype="u1")
    path = files.packed(files.write(tmp_path / "a.fits", fits.PrimaryHDU(chance)))
    path.write_bytes(path.read_bytes()[:end])
    try:
        group, report = files.scan(path)
    except refmaker.RefmakerError as error:
        assert str(path) in str(error)  # noqa: PT017 - where a file is cut decides
    else:
        assert {row.code for row in report.skipped} == {"fits-gzip"}
        with pytest.raises((CodecError, EOFError)):
            decode_array(group["data"])


def checks(path):
    return {check.path: check for check in refmaker.verify(refmaker.scan(str(path)))}


def test_checksums_are_compared(tmp_path):
    path = tmp_path / "a.fits"
    one = fits.PrimaryHDU(files.values("i2", (60, 41)))
    two = fits.CompImageHDU(image("i2", (45, 70)), name="SCI")
    fits.HDUList([one, two]).writeto(path, checksum=True)
    assert all(check.ok and not check.reason for check in checks(path).values())
    raw = bytearray(path.read_bytes())
    raw[2880 + 100] ^= 1
    path.write_bytes(raw)
    found = checks(path)
    assert found["data"].ok
    assert "DATASUM" in found["data"].reason
    assert not found["SCI/data"].reason
    raw[2880 + 100] ^= 1
    at = raw.index(b"EXTNAME = 'SCI ")
    raw[at + 11 : at + 14] = b"SKI"
    path.write_bytes(raw)
    assert "CHECKSUM" in checks(path)["SKI/data"].reason
