"""Values, places and attributes of NRRD files against pynrrd."""

import bz2
import gzip

import nrrd
import numpy as np
import pytest

from refmaker.errors import CodecError, FormatError, LimitError
from refmaker.io.source import Source
from refmaker.scanners.nrrd import NRRDScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.verified import verified

VOLUME = np.arange(5 * 6 * 7, dtype=">i2").reshape(5, 6, 7)
BASIC = "type: short\ndimension: 3\nsizes: 7 6 5\nendian: big\nencoding: raw\n"


def scan(path, **fields):
    with Source(path) as source:
        return NRRDScanner().scan(source, ScanOptions(**{"inline_threshold": 0, **fields}))


def write(path, header, data=b"", *, newline="\n"):
    """Write a file by hand, for what pynrrd does not write."""
    text = f"NRRD0005\n{header}\n".replace("\n", newline)
    path.write_bytes(text.encode() + data)
    return path


def native(path, group):
    with Source(path) as source, NRRDScanner().native(source) as reader:
        array = group["data"]
        return reader.read("data", array, (slice(None),) * len(array.shape))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_values_of_every_type(dtype, order, encoding, tmp_path):
    for shape in ((7,), (6, 7), (5, 6, 7), (2, 3, 4, 5)):
        values = np.random.default_rng(1).integers(-100, 100, shape).astype(order + dtype)
        path = tmp_path / "x.nrrd"
        nrrd.write(str(path), values, {"encoding": encoding})
        group, _ = scan(path)
        true, _ = nrrd.read(str(path), index_order="C")
        assert np.array_equal(open_stock(group)["data"][...], true)
        assert group["data"].dtype == np.dtype(order + dtype)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_any_system(newline, tmp_path):
    path = write(
        tmp_path / "x.nrrd", f"# said\n{BASIC}a b:=c: d\n", VOLUME.tobytes(), newline=newline
    )
    group, _ = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert group["data"].attributes["key_values"] == {"a b": "c: d"}


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("threshold", [0, 1024])
def test_data_in_another_file(threshold, encoding, tmp_path):
    path = tmp_path / "x.nhdr"
    nrrd.write(str(path), VOLUME, {"encoding": encoding}, detached_header=True, index_order="C")
    verified(path, inline_threshold=threshold)
    group, report = scan(path, inline_threshold=threshold)
    if threshold and encoding == "raw":
        assert [row.code for row in report.rows if row.path == "/data"] == ["small"]
        assert np.array_equal(open_stock(group)["data"][...], VOLUME)
        return
    (other,) = report.sources
    assert other != str(path)
    assert group["data"].chunks.urls == (other,)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert np.array_equal(native(path, group), VOLUME)


def test_data_outside_of_the_folder(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "x.raw").write_bytes(VOLUME.tobytes())
    path = write(tmp_path / "below" / "x.nhdr", BASIC + "data file: ../x.raw\n")
    group, report = scan(path)
    assert not group.members
    assert "follow_external" in report.skipped[0].reason
    assert report.skipped[0].code == "external-outside"
    group, _ = scan(path, follow_external=True)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)


@pytest.mark.parametrize(
    ("skips", "before"),
    [("byte skip: 11", b"x" * 11), ("byte skip: -1", b"y" * 5), ("line skip: 2", b"ab\nc\n"),
     ("line skip: 1\nbyteskip: 3", b"abc\nxyz")],
)  # fmt: skip
def test_skips(skips, before, tmp_path):
    path = write(tmp_path / "x.nrrd", f"{BASIC}{skips}\n", before + VOLUME.tobytes())
    group, _ = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert np.array_equal(native(path, group), VOLUME)


@pytest.mark.parametrize(("encoding", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_lines_before_compressed_data(encoding, pack, tmp_path):
    header = BASIC.replace("raw", encoding) + "line skip: 1\n"
    path = write(tmp_path / "x.nrrd", header, b"line\n" + pack(VOLUME.tobytes()))
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert np.array_equal(native(path, group), VOLUME)
    assert any("as a whole" in text for text in report.warnings)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_data_that_are_too_short(pack, tmp_path):
    encoding = "gzip" if pack is gzip.compress else "bzip2"
    header = BASIC.replace("raw", encoding)
    path = write(tmp_path / "x.nrrd", header, pack(VOLUME.tobytes()[:-1]))
    group, _ = scan(path)
    with pytest.raises(CodecError, match="its data end at 420"):
        open_stock(group)["data"][...]


def test_space(tmp_path):
    header = {
        "encoding": "raw",
        "space": "left-posterior-superior",
        "space directions": np.array([[np.nan] * 3, [2, 0, 0], [0, -3, 0], [0, 0, 0.5]]),
        "space origin": [10, 20, 30.5],
        "space units": ["mm", "mm", "mm"],
        "kinds": ["vector", "domain", "domain", "domain"],
        "sample units": "HU",
    }
    path = tmp_path / "x.nrrd"
    nrrd.write(str(path), np.zeros((3, 4, 5, 6), "f4"), header)
    group, _ = scan(path)
    data = group["data"]
    assert data.shape == (6, 5, 4, 3)
    assert data.dimension_names == ("z", "y", "x", "axis0")
    assert data.attributes["space_directions"] == [None, [2, 0, 0], [0, -3, 0], [0, 0, 0.5]]
    assert data.attributes["space_origin"] == [10, 20, 30.5]
    stock = open_stock(group)
    assert stock["x"][...].tolist() == [10, 12, 14, 16]
    assert stock["y"][...].tolist() == [20, 17, 14, 11, 8]
    assert stock["z"][...].tolist() == [30.5, 31, 31.5, 32, 32.5, 33]
    assert group["x"].attributes["units"] == "mm"


def test_an_oblique_space_has_no_coordinates(tmp_path):
    directions = np.array([[2, 0.5, 0], [0, 3, 0], [0, 0, 4.0]])
    header = {"space": "RAS", "space directions": directions, "space origin": [0, 0, 0.0]}
    nrrd.write(str(tmp_path / "x.nrrd"), VOLUME, header | {"encoding": "raw"})
    group, _ = scan(tmp_path / "x.nrrd")
    assert set(group.members) == {"data"}
    assert group["data"].attributes["space_directions"] == directions.tolist()


def test_labels_name_the_dimensions(tmp_path):
    write(tmp_path / "x.nrrd", f'{BASIC}labels: "lon" "lat" "lat"\n', VOLUME.tobytes())
    assert scan(tmp_path / "x.nrrd")[0]["data"].dimension_names == ("z", "y", "lon")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("encoding: raw", "encoding: zrl", "nrrd-encoding"),
        ("encoding: raw", "encoding: hex", "nrrd-data"),
        ("encoding: raw", "encoding: ascii", "nrrd-data"),
        ("type: short", "type: block", "nrrd-type"),
        ("encoding: raw", "encoding: raw\ndata file: LIST", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: LIST\na\nb", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: a.%03d 1 4 1", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: a.%03d 1 5 0", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: a.%03d 1 5 1", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: a.%03d 1 99999999 1", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: a.%03d 1 5 1 9", "nrrd-data"),
        ("encoding: raw", "encoding: hex\ndata file: a.%03d 1 5 1", "nrrd-files"),
        ("encoding: raw", "encoding: gzip\nbyte skip: -1", "nrrd-skip"),
        ("encoding: raw", "encoding: gzip\nbyte skip: 4", "nrrd-skip"),
        ("encoding: raw", "encoding: raw\nbyte skip: -2", "nrrd-skip"),
        ("sizes: 7 6 5", "sizes: 7 6", "nrrd-data"),
        ("sizes: 7 6 5", "sizes: 7 6 -5", "nrrd-data"),
        ("sizes: 7 6 5", "sizes: 7 6 x", "nrrd-data"),
        ("sizes: 7 6 5", "sizes: 7 6 99999999999999999999", "truncated"),
        ("sizes: 7 6 5", "sizes: 7 6 6", "truncated"),
        ("endian: big\n", "", "nrrd-data"),
        ("encoding: raw", "encoding: raw\nline skip: 9999", "nrrd-data"),
        ("encoding: raw", "encoding: raw\nbyte skip: x", "nrrd-data"),
        ("encoding: raw", "encoding: raw\ndata file: gone.raw", "nrrd-data"),
    ],
)
def test_what_is_refused_by_name(old, new, code, tmp_path):
    path = write(tmp_path / "x.nrrd", BASIC.replace(old, new), VOLUME.tobytes())
    group, report = scan(path)
    assert not group.members
    assert [(row.path, row.code) for row in report.skipped] == [("/data", code)]


def test_two_fields_of_one_name(tmp_path):
    with pytest.raises(FormatError, match="two fields 'type'"):
        scan(write(tmp_path / "x.nrrd", f"{BASIC}type: int\n", VOLUME.tobytes()))


def test_a_header_without_end(tmp_path):
    with pytest.raises(LimitError):
        scan(write(tmp_path / "x.nrrd", "# x\n" * 600_000))
