"""Files that are like one scanned before: found as h5py finds them, or left to h5py."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model import Array
from refmaker.model.zarr_v2 import array_document, dumps
from refmaker.scanners.hdf5.attribute_bytes import decode, split_attribute
from refmaker.scanners.hdf5.scan import FileScan
from refmaker.scanners.hdf5.scan_reuse import ScanReuse
from refmaker.scanners.hdf5.scanner import HDF5Scanner
from refmaker.scanners.hdf5.structure import outline_of
from refmaker.scanners.hdf5.structure_error import StructureMismatchError
from refmaker.scanning.options import ScanOptions
from tests import corpora

HERE = Path(__file__).parents[3]
CORPUS = corpora.CORPUS / "hdf5"
LIBVERS = ("earliest", "v108", "v110", "latest")


def told(group, report):
    """Everything that a scan says, in a form that can be compared."""
    nodes = []
    for path, node in group.walk():
        said = [path, type(node).__name__, dumps(dict(node.attributes))]
        if isinstance(node, Array):
            table = node.chunks
            said += [dumps(array_document(node)), node.dimension_names, table.grid, table._files()]
            said += [table.numbers().tolist(), table.offset.tolist(), table.length.tolist()]
            said.append(dict(table.inlined))
        nodes.append(said)
    return nodes, report.rows, report.warnings, report.format, report.missing


def by_h5py(path, **options):
    with Source(path) as source:
        return told(*FileScan(source, ScanOptions(**options)).run())


def by_patterns(patterns, path, **options):
    with Source(path) as source:
        return told(*patterns.scan(source, ScanOptions(**options)))


def alike(paths, **options):
    """Compare both ways for some files; return how many of them were like another."""
    patterns = ScanReuse()
    for path in paths:
        assert by_patterns(patterns, path, **options) == by_h5py(path, **options), path
    return patterns.alike


def write(path, day, libver="earliest", **attributes):
    """Write a day of an archive: coordinates, two fields, a group, addresses that move."""
    rng = np.random.default_rng(day)
    bounds = ("earliest", "v108") if libver == "earliest" else (libver, libver)
    with h5py.File(path, "w", libver=bounds) as file:
        file.create_dataset("time", data=np.array([day], "i4"), maxshape=(None,), chunks=(16,))
        file["time"].attrs["units"] = np.bytes_("days since 2000-01-01")
        file["time"].make_scale("time")
        file["lat"] = np.linspace(-90, 90, 20)
        file["lat"].make_scale("lat")
        field = rng.integers(0, 50, (1, 20, 30)).astype("i2")
        file.create_dataset(
            "sst", data=field, chunks=(1, 7, 11), compression="gzip", shuffle=True,
            maxshape=(None, 20, 30), fillvalue=-9,
        )  # fmt: skip
        file["sst"].attrs["_FillValue"] = np.array([-9], "i2")
        file["sst"].attrs["valid_max"] = np.float32(day + 0.5)
        for axis, name in enumerate(("time", "lat")):
            file["sst"].dims[axis].attach_scale(file[name])
        file.create_dataset("raw", data=rng.normal(size=(40, 50)))
        file.create_dataset("plain", data=field, chunks=(1, 7, 11))
        file.create_group("more").attrs["day"] = day
        file["more/flag"] = np.uint8(day)
        file["more/again"] = file["lat"]
        file.attrs["history"] = f"made on day {day}" + "!" * (day % 3)
        file.attrs["stamp"] = np.bytes_(f"{day:010d}")
        for name, value in attributes.items():
            file.attrs[name] = value


@pytest.mark.parametrize("options", [{}, {"inline_threshold": 0}, {"chunk_bytes": None}])
@pytest.mark.parametrize("libver", LIBVERS)
def test_days_of_an_archive(tmp_path, libver, options):
    paths = [tmp_path / f"{day}.h5" for day in range(6)]
    for day, path in enumerate(paths):
        write(path, day, libver)
    # The first is not remembered, the second is.
    assert alike(paths, **options) == 5


def test_days_as_the_netcdf_library_writes_them(tmp_path):
    import netCDF4

    paths = [tmp_path / f"{day}.nc" for day in range(5)]
    for day, path in enumerate(paths):
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("time", None)
            file.createDimension("x", 50)
            file.createDimension("bare", 3)
            file.title, file.created = "a title", f"2020-01-{day + 1:02}"
            file.createVariable("time", "f8", ("time",))[:] = [day]
            field = file.createVariable("t", "i2", ("time", "x"), zlib=True, fill_value=-1)
            field.units, field.scale_factor = "K", 0.01
            field[:] = np.arange(50)[None] + day
            file.createGroup("g").createVariable("y", "f4", ("x",))[:] = np.arange(50) * day
    assert alike(paths) == 4


def test_what_is_unlike_is_seen(tmp_path):
    paths = [tmp_path / f"{day}.h5" for day in range(12)]
    for day, path in enumerate(paths):
        write(path, day)
    with h5py.File(paths[4], "r+") as file:
        file["sst"].attrs["units"] = "K"
    with h5py.File(paths[5], "r+") as file:
        file["sst"].resize((2, 20, 30))
    with h5py.File(paths[6], "r+") as file:
        file["link"] = h5py.SoftLink("/raw")
    with h5py.File(paths[7], "r+") as file:
        file.move("raw", "row")
    with h5py.File(paths[8], "r+") as file:
        del file["sst"].attrs["_FillValue"]
        file["sst"].attrs["_FillValue"] = np.array([-8], "i2")
    with h5py.File(paths[9], "r+") as file:
        file["sst"].id.write_direct_chunk((0, 0, 0), b"\0" * 154, filter_mask=3)
    assert alike(paths) == 5


def test_options_are_part_of_a_pattern(tmp_path):
    paths = [tmp_path / f"{day}.h5" for day in range(4)]
    for day, path in enumerate(paths):
        write(path, day)
    patterns = ScanReuse()
    for options in ({}, {"inline_threshold": 0}, {"chunk_bytes": 1000}):
        for path in paths:
            assert by_patterns(patterns, path, **options) == by_h5py(path, **options)
    assert patterns.alike == 3 + 3 + 3


def test_nothing_of_one_result_shows_in_another(tmp_path):
    paths = [tmp_path / f"{day}.h5" for day in range(4)]
    for day, path in enumerate(paths):
        write(path, day)
    patterns = ScanReuse()
    found = []
    for path in paths:
        with Source(path) as source:
            found.append(patterns.scan(source, ScanOptions()))
    assert [report.url for _, report in found] == [str(path) for path in paths]
    assert all(table._files() == [str(path)] for (group, _), path in zip(found, paths, strict=True)
               for table in [group["sst"].chunks])  # fmt: skip
    found[2][1].add("/x", "skipped")
    assert found[3][1].rows[-1].path != "/x"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
DTYPES = ("i1", "<i2", ">i4", "<u8", "<f4", ">f8", "<f2", "?", "<c8")


@st.composite
def attribute_kinds(draw):
    """Draw what makes two values of one kind: a function of a strategy's draws."""
    kind = draw(st.sampled_from(["text", "bytes", "number", "numbers", "texts", "opaque"]))
    if kind == "text":
        return TEXT
    if kind == "texts":
        size = draw(st.integers(0, 3))
        return st.lists(TEXT, min_size=size, max_size=size).map(
            lambda texts: np.array(texts, h5py.string_dtype())
        )
    if kind == "bytes":
        size = draw(st.integers(1, 9))
        return st.binary(min_size=1, max_size=size).map(lambda b: np.array(b, f"S{size}"))
    dtype = np.dtype("V3" if kind == "opaque" else draw(st.sampled_from(DTYPES)))
    shape = draw(st.sampled_from([(), (1,), (2,), (2, 1), (0,)])) if kind == "numbers" else ()
    nbytes = dtype.itemsize * int(np.prod(shape, dtype=int))
    values = st.binary(min_size=nbytes, max_size=nbytes)
    if dtype.kind == "b":
        values = values.map(lambda raw: bytes(b & 1 for b in raw))
    return values.map(lambda raw: np.frombuffer(raw, dtype).reshape(shape))


@given(
    kinds=st.lists(attribute_kinds(), min_size=1, max_size=3),
    netcdf=st.booleans(),
    data=st.data(),
)
def test_attributes_of_all_kinds(tmp_path, kinds, netcdf, data):
    paths = [tmp_path / f"{day}.h5" for day in range(4)]
    for path in paths:
        with h5py.File(path, "w") as file:
            file["x"] = np.arange(3)
            if netcdf:
                file.attrs["_NCProperties"] = np.bytes_("version=2")
            for number, kind in enumerate(kinds):
                file["x"].attrs[f"a{number}"] = data.draw(kind)
    alike(paths)


@pytest.mark.parametrize("scalars", [False, True])
@pytest.mark.parametrize("code", ["i1", "<u2", ">i4", "<u8", ">i8", "<f4", ">f4", "<f8", ">f8"])
def test_numbers_are_decoded_as_h5py_does(tmp_path, code, scalars):
    path = tmp_path / "x.h5"
    for shape in [(), (1,), (3,), (2, 2)]:
        values = np.arange(7, 7 + int(np.prod(shape)), dtype=code).reshape(shape)
        with h5py.File(path, "w") as file:
            file.attrs["a"] = values
        with Source(path) as source:
            [(_, part, raw)] = outline_of(source).values
        plain = values.tolist()
        assert decode(part.head, raw, scalars=scalars) == (
            plain[0] if scalars and shape == (1,) else plain
        )


@pytest.mark.parametrize("flips", [150, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_damage_is_never_worse_than_with_h5py(tmp_path, libver, flips):
    """Flip single bytes: what is found is what h5py finds, or what stood there undamaged.

    Some bytes say what is said elsewhere, too, and h5py refuses what contradicts them.
    """
    paths = [tmp_path / f"{day}.h5" for day in range(3)]
    for day, path in enumerate(paths):
        write(path, day, libver)
    patterns = ScanReuse()
    for path in paths:
        by_patterns(patterns, path)
    assert patterns.alike == 2
    # The same place, and so the same words.
    damaged = tmp_path / "damaged.h5"
    whole = shutil.copy(paths[2], damaged).read_bytes()
    intact = by_patterns(patterns, damaged)
    assert intact == by_h5py(damaged)
    rng = np.random.default_rng(5)
    for at in rng.choice(len(whole), flips, replace=False).tolist():
        broken = bytearray(whole)
        broken[at] ^= int(rng.integers(1, 256))
        damaged.write_bytes(broken)
        try:
            expected = by_h5py(damaged)
        except RefmakerError:
            expected = None
        try:
            found = by_patterns(patterns, damaged)
        except RefmakerError:
            found = None
        assert found in (expected, intact), at


@pytest.mark.parametrize("libver", ["earliest", "v110"])
def test_outlines_of_damaged_files_come_to_an_end(tmp_path, libver):
    path, damaged = tmp_path / "x.h5", tmp_path / "damaged.h5"
    write(path, 1, libver)
    whole = path.read_bytes()
    rng = np.random.default_rng(6)
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), 8).tolist():
            broken[at] = int(rng.choice([0, 1, 255, rng.integers(256)]))
        cut = int(rng.integers(1, len(whole) + 1)) if rng.integers(2) else len(whole)
        damaged.write_bytes(broken[:cut])
        with Source(damaged) as source:
            try:
                outline_of(source)
            except StructureMismatchError:
                continue


def test_attribute_messages_cut_short():
    whole = bytes.fromhex("0100020008000400") + b"a".ljust(8, b"\0") + b"\x10\x08\0\0\4\0\0\0"
    whole += b"\2\0\0\0\0\0\0\0" + b"\7\0\0\0"
    for end in range(len(whole)):
        with pytest.raises((StructureMismatchError, IndexError, struct.error)):
            split_attribute(whole[:end])
    assert split_attribute(whole).name == b"a"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not there; see REFMAKER_CORPUS")
def test_real_files_are_like_themselves(tmp_path):
    """A real file, scanned again from a copy, says the same as at first."""
    hits = 0
    files = [p for p in sorted(CORPUS.rglob("*")) if p.is_file() and p.stat().st_size < 2**20]
    for number, path in enumerate(files):
        if path.read_bytes()[:4] != b"\x89HDF":
            continue
        copies = [tmp_path / f"{number}_{copy}{path.suffix}" for copy in range(3)]
        for copy in copies:
            shutil.copy(path, copy)
        try:
            hits += alike(copies)
        except RefmakerError:
            continue
        finally:
            for copy in copies:
                copy.unlink()
    assert hits > 20


def test_a_scanner_looks_for_patterns_from_its_second_file_on(tmp_path):
    paths = [tmp_path / f"{day}.h5" for day in range(3)]
    for day, path in enumerate(paths):
        write(path, day)
    scanner = HDF5Scanner()
    for path in paths:
        with Source(path) as source:
            found = told(*scanner.scan(source, ScanOptions()))
        assert found == by_h5py(path)
    assert scanner._patterns.alike == 1
