"""Values, places and attributes of ENVI files against spectral."""

import numpy as np
import pytest
from spectral.io import envi

from refmaker.errors import FormatError
from refmaker.io.source import Source
from refmaker.scanners.envi import ENVIScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock

TYPES = ("u1", "i2", "i4", "f4", "f8", "c8", "c16", "u2", "u4", "i8", "u8")
NAMES = {"bsq": ("band", "y", "x"), "bil": ("y", "band", "x"), "bip": ("y", "x", "band")}
CUBE = np.arange(6 * 7 * 4, dtype="i2").reshape(6, 7, 4)
DATA = CUBE.tobytes()
BASIC = (
    "ENVI\nsamples = 7\nlines = 6\nbands = 4\nheader offset = 0\ndata type = 2\n"
    "interleave = bip\nbyte order = 0\n"
)


def scan(path, **fields):
    with Source(path) as source:
        return ENVIScanner().scan(source, ScanOptions(inline_threshold=0, **fields))


def write(folder, header=BASIC, data=DATA, ending=".img"):
    (folder / "x.hdr").write_text(header)
    (folder / f"x{ending}").write_bytes(data)
    return folder / "x.hdr"


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("interleave", NAMES)
@pytest.mark.parametrize("dtype", TYPES)
def test_values_of_every_type(dtype, interleave, order, tmp_path):
    values = np.random.default_rng(1).integers(-100, 100, (6, 7, 4)).astype(dtype)
    path = tmp_path / "x.hdr"
    envi.save_image(str(path), values, interleave=interleave, byteorder=order)
    group, report = scan(path)
    data = group["data"]
    assert data.dimension_names == NAMES[interleave]
    assert data.dtype == np.dtype(dtype).newbyteorder("<" if order == "little" else ">")
    found = open_stock(group)["data"][...]
    found = found.transpose([data.dimension_names.index(name) for name in ("y", "x", "band")])
    assert np.array_equal(found, envi.open(str(path)).open_memmap(interleave="bip"))
    assert np.array_equal(found, values)
    assert list(report.sources) == [str(tmp_path / "x.img")]


@pytest.mark.parametrize("ending", ["", ".dat", ".raw", ".bin", ".IMG", ".bip", ".BIP"])
def test_where_the_data_lie(ending, tmp_path):
    group, _ = scan(write(tmp_path, ending=ending))
    assert group["data"].chunks.urls == (str(tmp_path / f"x{ending}"),)
    assert np.array_equal(open_stock(group)["data"][...], CUBE)


def test_a_folder_of_that_name_is_passed_over(tmp_path):
    (tmp_path / "x").mkdir()
    group, _ = scan(write(tmp_path))
    assert group["data"].chunks.urls == (str(tmp_path / "x.img"),)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**63), 2**63 - 1])
def test_ignored_values_are_exact(value, tmp_path):
    header = BASIC.replace("data type = 2", "data type = 14") + f"data ignore value = {value}\n"
    group, _ = scan(write(tmp_path, header, CUBE.astype("i8").tobytes()))
    assert group["data"].attributes["missing_value"] == value


def test_what_the_header_says(tmp_path):
    header = BASIC.replace("header offset = 0", "Header Offset = 5") + (
        "description = {of a, and\n b}\nwavelength units = Nanometers\nwavelength = {400.5, 500,\n"
        "; said in between\n 600, 700}\nfwhm = {1, 2, 3, 4}\nband names = {r, g, b, n}\n"
        "data ignore value = -99\nmap info = {UTM, 1, 1, 5e5, 4e6, 30, 30, 11, North}\n"
        'coordinate system string = {PROJCS["a","b"]}\n'
    )
    group, _ = scan(write(tmp_path, header, b"12345" + CUBE.tobytes()))
    assert np.array_equal(open_stock(group)["data"][...], CUBE)
    attributes = group["data"].attributes
    assert attributes["description"] == "of a, and\nb"
    stock = open_stock(group)
    assert stock["fwhm"][...].tolist() == [1, 2, 3, 4]
    assert stock["band_name"][...].tolist() == ["r", "g", "b", "n"]
    assert attributes["coordinates"].split() == ["wavelength", "fwhm", "band_name", "spatial_ref"]
    assert attributes["missing_value"] == -99
    assert attributes["map_info"][:2] == ["UTM", "1"]
    assert attributes["coordinate_system_string"] == 'PROJCS["a","b"]'
    wavelength = group["wavelength"]
    assert open_stock(group)["wavelength"][...].tolist() == [400.5, 500, 600, 700]
    assert wavelength.dimension_names == ("band",)
    assert wavelength.attributes == {"units": "nm"}
    assert attributes["wavelength_units"] == "Nanometers"


@pytest.mark.parametrize("listed", ["1, 2, 3", "1, 2, 3, x", "1, 2, 3, nan"])
def test_wavelengths_that_are_none(listed, tmp_path):
    group, report = scan(write(tmp_path, f"{BASIC}wavelength = {{{listed}}}\n"))
    assert set(group.members) == {"data"}
    assert any("wavelength" in text for text in report.warnings)


def test_ignored_values_that_are_nan_need_no_word(tmp_path):
    header = BASIC.replace("data type = 2", "data type = 4") + "data ignore value = NaN\n"
    path = write(tmp_path, header)
    path.with_suffix(".img").write_bytes(bytes(1 << 16))
    group, report = scan(path)
    assert not [text for text in report.warnings if "ignore value" in text]
    assert "missing_value" not in group["data"].attributes


def test_an_ignored_value_that_no_element_has(tmp_path):
    group, report = scan(write(tmp_path, f"{BASIC}data ignore value = 1e9\n"))
    assert "missing_value" not in group["data"].attributes
    assert any("ignore value" in text for text in report.warnings)


def test_a_spectral_library(tmp_path):
    header = BASIC.replace("bands = 4", "bands = 1").replace("bip", "bsq") + (
        "file type = ENVI Spectral Library\nwavelength = {1, 2, 3, 4, 5, 6, 7}\n"
    )
    spectra = CUBE[..., 0].copy()
    path = write(tmp_path, header, spectra.tobytes(), ".sli")
    group, _ = scan(path)
    assert group["data"].dimension_names == ("spectrum", "band")
    assert np.array_equal(open_stock(group)["data"][...], spectra)
    with Source(path) as source, ENVIScanner().native(source) as native:
        assert np.array_equal(native.read("data", group["data"], (slice(None),) * 2), spectra)
        region = (slice(2, 5),)
        assert native.read("wavelength", group["wavelength"], region).tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("data type = 2", "data type = 7", "envi-data-type"),
        ("data type = 2", "data type = x", "envi-data"),
        ("byte order = 0", "byte order = 2", "envi-data"),
        ("byte order = 0\n", "", "envi-data"),
        ("interleave = bip", "interleave = bop", "envi-data"),
        ("bands = 4\n", "", "envi-data"),
        ("lines = 6", "lines = -6", "envi-data"),
        ("lines = 6", "lines = 7", "truncated"),
        ("lines = 6", "lines = 999999999999999", "truncated"),
        ("header offset = 0", "header offset = 1", "truncated"),
        ("header offset = 0", "file compression = 1", "envi-compressed"),
        ("header offset = 0", "major frame offsets = {0, 8}", "envi-frame-offsets"),
    ],
)
def test_what_is_refused_by_name(old, new, code, tmp_path):
    group, report = scan(write(tmp_path, BASIC.replace(old, new)))
    assert not group.members
    assert [(row.path, row.code) for row in report.skipped] == [("/data", code)]


def test_a_header_without_data(tmp_path):
    path = write(tmp_path)
    (tmp_path / "x.img").unlink()
    group, report = scan(path)
    assert not group.members
    assert "x.img" in report.skipped[0].reason


@pytest.mark.parametrize("more", ["bands = 5\n", "wavelength = {1,\n2"])
def test_damaged_headers(more, tmp_path):
    with pytest.raises(FormatError):
        scan(write(tmp_path, BASIC + more))
