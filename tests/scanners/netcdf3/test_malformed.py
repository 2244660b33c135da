"""Damaged and hostile netCDF classic files: a located error, or refusal by name."""

import struct
import tracemalloc

import netCDF4
import numpy as np
import pytest

from refmaker.errors import FormatError, LimitError, RefmakerError, TruncatedError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.scanners.netcdf3 import NetCDF3Scanner, storage
from refmaker.scanners.netcdf3 import header as header_module
from refmaker.scanning.options import ScanOptions
from refmaker.testing.reading import decode_array
from tests.scanners.netcdf3 import files

TABLES = ScanOptions(inline_threshold=0)
SMALL = {"fixed": ("i2", ("x",)), "a": ("i1", ("t", "x")), "one": ("f8", ()), "b": ("i4", ("t",))}


def scan(path, options=TABLES):
    with Source(path) as source:
        return NetCDF3Scanner().scan(source, options)


def codes(report):
    return {row.path.removeprefix("/"): row.code for row in report.skipped}


@pytest.fixture
def build(tmp_path):
    """Return a function that writes a hand-made header and the data after it."""

    def build(data=b"", size=0, **fields):
        path = files.Builder(**fields).write(tmp_path / "made.nc", data)
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
        return path

    return build


@pytest.mark.parametrize("form", files.FORMATS)
@pytest.mark.parametrize("options", [TABLES, ScanOptions()])
def test_a_file_cut_anywhere(tmp_path, form, options):
    path, cut = tmp_path / "whole.nc", tmp_path / "cut.nc"
    written = files.make(path, form, {"t": [3], "x": 3}, SMALL, {"title": "cut"})
    whole = path.read_bytes()
    offsets, refused = [], set()
    for size in range(len(whole)):
        cut.write_bytes(whole[:size])
        try:
            group, report = scan(cut, options)
        except FormatError as error:
            offsets.append((error.offset, size))
            continue
        rows = [row.path for row in report.rows]
        assert rows == ["/", *(f"/{name}" for name in written)]
        assert set(codes(report).values()) <= {"truncated"}
        assert set(group.members) == set(written) - set(codes(report))
        refused |= set(codes(report))
        for name, array in group.arrays():
            np.testing.assert_array_equal(decode_array(array), written[name])
    assert len(offsets) > 200
    assert all(0 <= offset <= size for offset, size in offsets)
    assert refused == set(written)


def test_only_padding_may_be_missing_at_the_end(tmp_path):
    path = tmp_path / "padding.nc"
    written = files.make(
        path, files.CLASSIC, {"t": [3], "x": 3}, {"b": ("i4", ("t",)), "a": ("i1", ("t", "x"))}
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    group, report = scan(path)
    assert report.lossless
    np.testing.assert_array_equal(decode_array(group["a"]), written["a"])
    path.write_bytes(whole[:-2])
    _, report = scan(path)
    assert codes(report) == {"a": "truncated"}
    assert "2 of 3 records" in report.skipped[0].reason


@pytest.mark.parametrize("form", files.FORMATS)
def test_an_open_number_of_records_comes_from_the_size(tmp_path, form):
    path = tmp_path / "streaming.nc"
    written = files.make(path, form, {"t": [5], "x": 3}, SMALL)
    whole = bytearray(path.read_bytes())
    width = 8 if form == files.DATA64 else 4
    whole[4 : 4 + width] = b"\xff" * width
    for missing, records in ((0, 5), (1, 4), (8, 4), (9, 3)):
        path.write_bytes(whole[: len(whole) - missing])
        group, report = scan(path)
        assert report.lossless
        assert f"its size gives {records}" in report.warnings[0]
        for name in ("a", "b"):
            np.testing.assert_array_equal(decode_array(group[name]), written[name][:records])


def test_an_open_number_of_records_of_nothing(build):
    variables = [("v", [0], 4, 5000)]
    group, report = scan(build(records=2**32 - 1, dimensions=[("t", 0)], variables=variables))
    assert group["v"].shape == (0,)
    assert report.lossless
    group, report = scan(build(records=2**32 - 1, dimensions=[("t", 0)]))
    assert not report.warnings[1:]
    assert group.attributes == {UNLIMITED: ["t"]}


@pytest.mark.parametrize("form", files.FORMATS)
def test_any_flipped_bit(tmp_path, form):
    path = tmp_path / "flipped.nc"
    files.make(path, form, {"t": [3], "x": 3}, SMALL, {"title": "flip"})
    whole = path.read_bytes()
    with Source(path) as source:
        header = header_module.read_header(source, 1000).size
    offsets, survived = [], 0
    for bit in range(0, 8 * header, 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            group, report = scan(path)
        except RefmakerError as error:
            offsets.append(error.offset)
            continue
        survived += 1
        rows = [row.path for row in report.rows if row.outcome != Outcome.SKIPPED]
        assert rows == ["/", *(f"/{name}" for name in group.members)]
        for _, array in group.arrays():
            table = array.chunks
            if table.referenced:
                assert int(table.offset.min()) >= header - 8
                assert int((table.offset + table.length).max()) <= len(whole)
    assert survived > header / 3
    assert all(0 <= offset <= len(whole) for offset in offsets)


COUNTS = (2**31 - 1, 2**32 - 2, 2**63 - 1, 2**64 - 2)


def hostile_headers():
    """Yield headers in which one count is far larger than the file."""
    for version in (1, 2, 5):
        make = files.Builder(version=version)
        magic = b"CDF" + bytes([version]) + make.count(0)
        empty = struct.pack(">I", 0) + make.count(0)
        one = make.count(1)
        for number in COUNTS if version == 5 else COUNTS[:2]:
            many = make.count(number)
            lists = [struct.pack(">I", tag) for tag in (10, 12, 11)]
            yield magic + lists[0] + many
            yield magic + lists[0] + one + many
            yield magic + empty + lists[1] + many
            yield magic + empty + lists[1] + one + make.name("a") + struct.pack(">I", 6) + many
            yield magic + empty * 2 + lists[2] + many
            yield magic + empty * 2 + lists[2] + one + make.name("v") + many


@pytest.mark.parametrize("header", list(hostile_headers()))
def test_absurd_counts(tmp_path, header):
    path = tmp_path / "hostile.nc"
    path.write_bytes(header.ljust(400, b"\0"))
    tracemalloc.start()
    try:
        with pytest.raises(TruncatedError, match="do not fit") as caught:
            scan(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
    assert 0 < caught.value.offset < 400


@pytest.mark.parametrize("version", [1, 2, 5])
def test_absurd_dimensions_refuse_the_variable_alone(build, version):
    large = 2**63 if version == 5 else 2**31
    path = build(
        b"\1\2\3\4",
        version=version,
        dimensions=[("t", 0), ("x", large), ("y", 4)],
        variables=[
            ("wide", [1] * 900, 6, 1000),
            ("wider", [1] * 1100, 1, 1000),
            ("long", [1], 1, 2**31 - 1),
            ("fine", [2], 1, 0),
        ],
    )
    begin = path.stat().st_size - 4
    raw = path.read_bytes()
    offset = struct.pack(">i" if version == 1 else ">q", begin)
    path.write_bytes(raw[: -4 - len(offset)] + offset + raw[-4:])
    group, report = scan(path)
    assert codes(report) == {"wide": "limit", "wider": "limit", "long": "limit"} | (
        {} if version == 5 else {"long": "truncated"}
    )
    np.testing.assert_array_equal(decode_array(group["fine"]), [1, 2, 3, 4])


def test_an_absurd_record_size_refuses_all_records(build):
    path = build(
        size=4000,
        version=5,
        records=1,
        dimensions=[("t", 0), ("x", 2**62)],
        variables=[("a", [0, 1, 1], 6, 1000), ("b", [0], 4, 2000), ("f", [], 4, 3000)],
    )
    group, report = scan(path)
    assert codes(report) == {"a": "limit", "b": "geometry"}
    assert list(group.members) == ["f"]


@pytest.mark.parametrize("records", [0, 1, 2, 2**31 - 1])
def test_a_record_too_far_from_the_next(build, records):
    path = build(
        size=4000,
        version=5,
        records=records,
        dimensions=[("t", 0), ("x", 2**62 - 1)],
        variables=[("a", [0, 1], 1, 2004), ("b", [0], 4, 2000), ("c", [0, 1], 1, 2**62 + 2004)],
    )
    group, report = scan(path, ScanOptions())
    if records == 0:
        assert report.lossless
        assert group["a"].shape == (0, 2**62 - 1)
    else:
        expected = {"a": "truncated", "c": "truncated", "b": "truncated"}
        assert codes(report) == {n: expected[n] for n in expected if n != "b" or records > 1}


def test_more_dimensions_than_numpy_has(build):
    dimensions = [("x", 1)]
    variables = [("deep", [0] * 33, 1, 3000), ("just", [0] * 32, 1, 3004)]
    group, report = scan(build(size=3008, dimensions=dimensions, variables=variables))
    assert codes(report) == {"deep": "rank"}
    assert group["just"].shape == (1,) * 32


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_names_without_a_place_in_a_zarr_key(build, name):
    variables = [(name, [], 4, 500), ("good", [], 4, 504)]
    group, report = scan(build(size=508, variables=variables))
    assert codes(report) == {name: "name"}
    assert list(group.members) == ["good"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dimensions": [("t", 0), ("u", 0)]}, "2 record dimensions"),
        ({"dimensions": [("x", 1), ("x", 2)]}, "two dimensions are named 'x'"),
        ({"variables": [("v", [], 1, 500), ("v", [], 1, 504)]}, "two variables are named 'v'"),
        ({"variables": [("v", [], 0, 500)]}, "type 0 does not exist"),
        ({"variables": [("v", [], 7, 500)]}, "type 7 does not exist in CDF-1"),
        ({"version": 5, "variables": [("v", [], 12, 500)]}, "type 12 does not exist in CDF-5"),
        ({"attributes": [("a", 99, 1, b"\0")]}, "type 99 does not exist"),
        ({"dimensions": [("x", 1)], "variables": [("v", [1], 1, 500)]}, "dimension number 1"),
    ],
)
def test_broken_grammar(build, fields, message):
    with pytest.raises(FormatError, match=message) as caught:
        scan(build(size=600, **fields))
    assert caught.value.offset > 0


def test_a_list_of_another_kind(tmp_path):
    path = tmp_path / "tag.nc"
    path.write_bytes(b"CDF\1" + struct.pack(">III", 0, 11, 1) + bytes(100))
    with pytest.raises(FormatError, match="tag 11, expected 10") as caught:
        scan(path)
    assert caught.value.offset == 8


@pytest.mark.parametrize("data", [b"", b"CDF", b"CDF\3" + bytes(40), b"\x89HDF\r\n\x1a\n"])
def test_other_files(tmp_path, data):
    path = tmp_path / "other.nc"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="not a netCDF classic file"):
        scan(path)


def test_data_inside_the_header(build):
    for begin in (0, 40, 2**31):
        variables = [("inside", [], 4, begin), ("good", [], 4, 504)]
        group, report = scan(build(size=508, variables=variables))
        assert codes(report) == {"inside": "geometry"}
        assert list(group.members) == ["good"]


def test_overlapping_data(build):
    dimensions = [("x", 4), ("t", 0)]
    variables = [
        ("long", [0, 0], 4, 1000),
        ("inner", [0], 4, 1016),
        ("later", [0], 4, 1063),
        ("clear", [0], 4, 1100),
        ("odd", [0], 1, 1116),
        ("even", [0], 1, 1120),
    ]
    group, report = scan(build(size=2000, dimensions=dimensions, variables=variables))
    assert codes(report) == dict.fromkeys(("long", "inner", "later"), "overlap")
    assert list(group.members) == ["clear", "odd", "even"]
    variables = [("fixed", [0], 4, 1000), ("rec", [1], 4, 1012), ("clear", [0], 4, 900)]
    fields = {"dimensions": dimensions, "variables": variables}
    _, report = scan(build(size=2000, records=2, **fields))
    assert codes(report) == {"fixed": "overlap", "rec": "overlap"}


@pytest.mark.parametrize(
    ("first", "second"),
    [(1000, 1000), (1000, 1003), (1000, 1009), (1002, 1000)],
    ids=["same", "unpadded", "wider than a record", "swapped"],
)
def test_records_that_contradict_the_record_size(build, first, second):
    variables = [("a", [0, 1], 1, first), ("b", [0], 4, second), ("f", [], 4, 900)]
    fields = {"dimensions": [("t", 0), ("x", 3)], "variables": variables}
    group, report = scan(build(size=2000, records=5, **fields))
    assert codes(report) == {"a": "overlap", "b": "overlap"}
    assert list(group.members) == ["f"]


def test_records_in_another_order_than_the_header(build):
    variables = [("a", [0, 1], 1, 1004), ("b", [0], 4, 1000)]
    data = b"".join(struct.pack(">i3bx", -n, n, n + 1, n + 2) for n in range(5))
    path = build(size=1000, records=5, dimensions=[("t", 0), ("x", 3)], variables=variables)
    path.write_bytes(path.read_bytes() + data)
    group, report = scan(path)
    assert report.lossless
    assert decode_array(group["a"])[4].tolist() == [4, 5, 6]
    assert decode_array(group["b"]).tolist() == [0, -1, -2, -3, -4]


@pytest.mark.parametrize("ids", [[1, 0], [0, 0]])
def test_a_record_dimension_in_another_place(build, ids):
    variables = [("wrong", ids, 4, 1000), ("rec", [0], 4, 1100), ("f", [1], 4, 900)]
    fields = {"dimensions": [("t", 0), ("x", 3)], "variables": variables}
    group, report = scan(build(size=2000, records=5, **fields))
    assert codes(report)["wrong"] == "geometry"
    assert "f" in group.members
    # What is unknown of one record variable is unknown of the distance of all.
    assert ("rec" in group.members) == (ids[0] == 1)


def test_vsize_is_never_believed(tmp_path):
    path = tmp_path / "vsize.nc"
    written = files.make(path, files.CLASSIC, {"t": [3], "x": 3}, SMALL)
    whole = path.read_bytes()
    for name in (b"fixed", b"a", b"one", b"b"):
        with netCDF4.Dataset(path) as dataset:
            rank = len(dataset[name.decode()].dimensions)
        at = whole.index(struct.pack(">I", len(name)) + name, 56) + 4 + len(name) + -len(name) % 4
        at += 4 + 4 * rank + 8 + 4
        whole = whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :]
    path.write_bytes(whole)
    group, report = scan(path)
    assert report.lossless
    for name, array in group.arrays():
        np.testing.assert_array_equal(decode_array(array), written[name])


def test_attributes_lose_only_themselves(build):
    attributes = [
        ("large", 1, 70_000, bytes(70_000)),
        ("_ARRAY_DIMENSIONS", 2, 1, b"x"),
        ("twice", 3, 1, b"\0\1"),
        ("twice", 3, 1, b"\0\2"),
        ("last", 2, 3, b"end"),
    ]
    path = build(attributes=attributes)
    group, report = scan(path, ScanOptions(inline_budget=60_000))
    assert group.attributes == {
        "twice": 1,
        "last": "end",
        "_nczarr_attr": {"types": {"twice": "<i2"}},
    }
    assert codes(report) == {
        "@large": "limit",
        "@_ARRAY_DIMENSIONS": "name",
        "@twice": "name",
    }


def test_too_many_definitions(build, monkeypatch):
    monkeypatch.setattr(header_module, "_STRUCTURE_LIMIT", 1000)
    with pytest.raises(LimitError, match="more than 1000 bytes"):
        scan(build(dimensions=[(f"d{number}", 1) for number in range(200)]))


def test_too_many_records(build, monkeypatch):
    monkeypatch.setattr(storage, "_MAX_RECORDS", 50)
    dimensions = [("t", 0)]
    variables = [("a", [0], 4, 1000), ("b", [0], 4, 1004), ("c", [0], 4, 1008)]
    fields = {"dimensions": dimensions, "variables": variables}
    group, report = scan(build(size=2000, records=20, **fields))
    assert list(group.members) == ["a", "b"]
    assert codes(report) == {"c": "limit"}
