"""ASCII tables against astropy and fitsio."""

import fitsio
import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import refmaker
from refmaker.errors import CodecError
from refmaker.testing.reading import decode_array
from tests.scanners.fits import files
from tests.scanners.fits.test_tables import assert_equal

ROWS = 200
EMPTY = ("BITPIX  = 8", "NAXIS   = 0")


def written(path, *fields, rows, **keywords):
    """Write a table of (start, format) fields, card by card."""
    width = len(rows[0])
    lines = [
        "BITPIX  = 8", "NAXIS   = 2", f"NAXIS1  = {width}", f"NAXIS2  = {len(rows)}",
        "PCOUNT  = 0", "GCOUNT  = 1", f"TFIELDS = {len(fields)}", "EXTNAME = 'EVENTS'",
    ]  # fmt: skip
    for number, (start, form) in enumerate(fields, start=1):
        lines += [f"TBCOL{number}  = {start}", f"TFORM{number}  = '{form}'"]
        lines += [f"TTYPE{number}  = 'x{number}'"]
    lines += [f"{name:8}= {value}" for name, value in keywords.items()]
    unit = files.cards("XTENSION= 'TABLE'", *lines, data="".join(rows).encode())
    path.write_bytes(files.simple(*EMPTY) + unit)
    return path


@pytest.mark.parametrize("fields", [{}, {"inline_threshold": 0, "chunk_bytes": 3000}, {
    "inline_threshold": 10**6}])  # fmt: skip
def test_what_astropy_writes(tmp_path, fields):
    chance = np.random.default_rng(2)
    made = [
        fits.Column("text", "A9", array=np.array([f"row {i}" for i in range(ROWS)])),
        fits.Column("whole", "I11", array=chance.integers(-(2**31), 2**31, ROWS)),
        fits.Column("fixed", "F12.3", array=chance.normal(0, 1000, ROWS)),
        fits.Column("real", "E17.8", array=chance.normal(0, 1e9, ROWS)),
        fits.Column("double", "D25.17", array=chance.normal(0, 1e-9, ROWS)),
    ]
    unit = fits.TableHDU.from_columns(made, name="EVENTS")
    path = files.write(tmp_path / "a.fits", fits.PrimaryHDU(), unit)
    group = assert_equal(path, **fields)
    with files.in_memory(path) as opened:
        for name in ("whole", "fixed", "real", "double"):
            true = opened[1].data[name]
            found = decode_array(group[f"EVENTS/{name}"]).astype(true.dtype)
            np.testing.assert_array_equal(found, true)
        texts = decode_array(group["EVENTS/text"])  # as stored: padded with blanks
        assert [text.decode().rstrip() for text in texts] == list(opened[1].data["text"])
    known = fitsio.FITS(path)["EVENTS"].read()
    np.testing.assert_array_equal(decode_array(group["EVENTS/whole"]), known["whole"])
    # cfitsio does not round the last digit correctly.
    found = decode_array(group["EVENTS/double"])
    np.testing.assert_allclose(found, known["double"], rtol=1e-14)


def test_fields_as_the_standard_has_them(tmp_path):
    rows = [" 1.50  12345", " 1.5D1     -", "   150     7", "          +8", "-1E+01    00"]
    rows[1] = " 1.5D1    -1"
    path = written(tmp_path / "a.fits", (1, "E6.2"), (8, "I5"), rows=rows)
    group = assert_equal(path, inline_threshold=0)["EVENTS"]
    # Without a decimal point, it lies before the last two digits; an empty field is 0.
    np.testing.assert_array_equal(decode_array(group["x1"]), [1.5, 15, 1.5, 0, -0.1])
    np.testing.assert_array_equal(decode_array(group["x2"]), [12345, -1, 7, 8, 0])
    np.testing.assert_array_equal(decode_array(group["x1"]), fitsio.FITS(path)[1]["x1"].read())


def test_missing_values_units_and_scaling(tmp_path):
    rows = ["  1.5    7", " NULL NULL", "  2.5  -99"]
    path = written(
        tmp_path / "a.fits", (1, "F5.1"), (6, "I5"), rows=rows,
        TNULL1="'NULL'", TNULL2="'NULL'", TUNIT1="'m'", TSCAL2=2.0, TZERO2=1.0,
    )  # fmt: skip
    group = assert_equal(path)["EVENTS"]
    np.testing.assert_array_equal(decode_array(group["x1"]), [1.5, np.nan, 2.5])
    np.testing.assert_array_equal(decode_array(group["x2"]), [7, -(2**63), -99])
    assert group["x1"].attributes["units"] == "m"
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker", group="EVENTS") as opened:
        np.testing.assert_array_equal(opened["x2"].to_numpy(), [15, np.nan, -197])
    path = written(tmp_path / "b.fits", (1, "I5"), rows=["  -99", "    3"], TNULL1="'-99'")
    array = files.scan(path)[0]["EVENTS/x1"]
    np.testing.assert_array_equal(decode_array(array), [-99, 3])
    assert array.attributes["_FillValue"] == -99
    path = written(tmp_path / "c.fits", (1, "I5"), rows=["     ", "    3"], TNULL1="' '")
    np.testing.assert_array_equal(decode_array(files.scan(path)[0]["EVENTS/x1"]), [-(2**63), 3])


@pytest.mark.parametrize(
    ("form", "field"),
    [("I5", "1_000"), ("I5", "  abc"), ("F5.1", "  nan"), ("F5.1", "1 2  "), ("F5.1", "1e5e5")],
)
def test_fields_without_numbers_are_never_values(tmp_path, form, field):
    path = written(tmp_path / "a.fits", (1, form), rows=[field, "    3"])
    array = files.scan(path, inline_threshold=0)[0]["EVENTS/x1"]
    with pytest.raises(CodecError, match="a field holds no"):
        decode_array(array)


@pytest.mark.parametrize("field", [(1, "I9"), (0, "I3"), (9, "I1"), (1, "Z3"), (1, "I0"), (1, "J")])
def test_columns_that_make_no_sense(tmp_path, field):
    path = written(tmp_path / "a.fits", field, rows=["     ", "     "])
    assert [row.code for row in files.scan(path)[1].skipped] == ["fits-header"]
