"""Real and served stores in either version of Zarr, with chunks recoded or raw."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import h5py
import numcodecs
import numpy as np
import pytest
import tensorstore
import xarray as xr
import zarr

import refmaker
from refmaker.errors import CodecError, MissingDependencyError, PolicyError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.edges import Edges
from refmaker.storage.reference_set import ReferenceSet
from tests.combine.files import READS_UNEVEN
from tests.reading.test_outgoing import ask, deflated, traces

WAYS = [(3, None), ("auto", "raw"), (2, "zstd"), (3, "raw"), (3, "zstd"), (3, "gzip")]


def values():
    """Return arrays of many types by name, with the options that h5py stores them by."""
    rng = np.random.default_rng(3)
    record = np.zeros(5, [("x", "<i2"), ("y", "<f8")])
    record["x"], record["y"] = np.arange(5), rng.normal(size=5)
    cut = {"chunks": (4, 8)}
    return {
        "shuffled": (rng.normal(size=(10, 17)), {"shuffle": True, "compression": "gzip", **cut}),
        "summed": (rng.integers(-9, 9, (10, 17)), {"fletcher32": True, **cut}),
        "big": (rng.normal(size=(10, 17)).astype(">f4"), cut),
        "lzf": (rng.integers(0, 9, (10, 17)).astype("u2"), {"compression": "lzf", **cut}),
        "scaled": (rng.integers(0, 90, (10, 17)).astype("i4"), {"scaleoffset": 0, **cut}),
        "whole": (np.arange(6.0).reshape(2, 3), {}),
        "truth": (np.array([True, False, True]), {}),
        "waves": (np.array([1 + 2j, -3j], "c8"), {"chunks": (1,)}),
        "records": (record, {"chunks": (2,)}),
        "bytes": (np.array([b"ab", b"c", b""], "S2"), {}),
        "texts": (np.array(["ä", "bcd", "", "e"], object), {"chunks": (3,)}),
        "scalar": (np.float64(2.5), {}),
        "g/c": (np.int16(-7), {}),
        "g/0": (np.arange(7, dtype="i8"), {"chunks": (3,), "shuffle": True}),
        "c/c": (np.arange(12.0).reshape(3, 4), {"chunks": (2, 2), "fletcher32": True}),
        "none": (np.zeros((0, 3)), {}),
    }


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Write a file of all of them; return what was scanned, and the values."""
    path = tmp_path_factory.mktemp("in") / "a.h5"
    found = {}
    with h5py.File(path, "w") as file:
        for name, (data, options) in values().items():
            kind = {"dtype": h5py.string_dtype()} if name == "texts" else {}
            file.create_dataset(name, data=data, **options, **kind)
            found[name] = data
        sparse = file.create_dataset("sparse", (9,), "i4", chunks=(2,), fillvalue=-5)
        sparse[4:7] = [1, 2, 3]
        found["sparse"] = sparse[:]
    return refmaker.scan(path, inline_threshold=0), found


@contextmanager
def stored(refs, folder, way):
    """Make a store real, and open it."""
    version, recode = way
    assert refmaker.materialize(refs, folder, zarr_format=version, recode=recode).complete
    yield zarr.open_group(folder, mode="r")


@contextmanager
def served(refs, _, way):
    """Serve a store, and open it."""
    version, recode = way
    with refmaker.serving(refs, zarr_format=version, decoded=recode == "raw") as url:
        yield zarr.open_group(url, mode="r")


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize(
    ("publish", "way"),
    [(stored, way) for way in WAYS]
    + [(served, way) for way in ((3, None), (2, "raw"), (3, "raw"))],
)
def test_values(scanned, tmp_path, publish, way):
    refs, expected = scanned
    with publish(refs, tmp_path / "out", way) as group:
        assert group.metadata.zarr_format == (2 if way[0] == "auto" else way[0])
        for name, wanted in expected.items():
            read = np.asarray(group[name][...])
            assert np.array_equal(read, np.asarray(wanted, read.dtype)), name


@pytest.mark.parametrize("recode", ["raw", "zstd", "gzip"])
def test_what_is_written(scanned, tmp_path, recode):
    refs, expected = scanned
    refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode=recode)
    for name in ("shuffled", "big", "lzf"):
        document = json.loads((tmp_path / "out" / name / "zarr.json").read_text())
        names = [codec["name"] for codec in document["codecs"]]
        assert names == (["bytes"] if recode == "raw" else ["bytes", recode])
        little = expected[name].astype(expected[name].dtype.newbyteorder("<"))
        assert document["codecs"][0] == ({"name": "bytes", "configuration": {"endian": "little"}})
        data = (tmp_path / "out" / name / "c/1/0").read_bytes()
        if recode != "raw":
            data = numcodecs.get_codec({"id": recode}).decode(data)
        assert bytes(data) == little[4:8, :8].tobytes()


def test_version_3_keeps_chunks_as_they_are(scanned, tmp_path):
    refs, _ = scanned
    refmaker.materialize(refs, tmp_path / "two")
    refmaker.materialize(refs, tmp_path / "three", zarr_format=3)
    for chunk in ("0.0", "2.2"):
        two = tmp_path / "two/shuffled" / chunk
        three = tmp_path / "three/shuffled/c" / chunk.replace(".", "/")
        assert two.read_bytes() == three.read_bytes()


@pytest.mark.parametrize("form", ["set.json", "set.parquet"])
def test_from_a_written_set(scanned, tmp_path, form):
    refs, expected = scanned
    refs.write(tmp_path / form)
    refmaker.materialize(tmp_path / form, tmp_path / "out", zarr_format=3, recode="zstd")
    group = zarr.open_group(tmp_path / "out", mode="r")
    for name in ("shuffled", "big", "sparse"):
        assert np.array_equal(group[name][...], expected[name])


def test_xarray_reads_the_same(tmp_path):
    data = xr.Dataset(
        {
            "t": (
                ("time", "x"),
                np.array([[1.0, np.nan], [2, 3], [4, np.nan]], "f4"),
                {"units": "K"},
            )
        },
        {"time": np.array(["2020-01-01", "2020-01-02", "2020-01-04"], "M8[ns]"), "x": [1, 2]},
    )
    encoding = {"t": {"zlib": True, "chunksizes": (2, 2), "_FillValue": np.float32(-99)}}
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    refs = refmaker.scan(tmp_path / "a.nc")
    for number, (version, recode) in enumerate(WAYS):
        refmaker.materialize(refs, tmp_path / str(number), zarr_format=version, recode=recode)
        opened = xr.open_zarr(tmp_path / str(number)).load()
        xr.testing.assert_identical(opened, refmaker.open_dataset(refs).load())
        xr.testing.assert_equal(opened, data)


def test_tensorstore_reads_what_is_served_decoded(scanned):
    refs, expected = scanned
    names = (
        "shuffled",
        "summed",
        "big",
        "lzf",
        "scaled",
        "whole",
        "truth",
        "waves",
        "sparse",
        "c/c",
    )
    for version, driver in ((2, "zarr"), (3, "zarr3")):
        with refmaker.serving(refs, zarr_format=version, decoded=True) as url:
            for name in (*names, "g/0"):
                spec = {"driver": driver, "kvstore": f"{url}{name}/"}
                read = tensorstore.open(spec, open=True, read=True).result().read().result()
                assert np.array_equal(read, expected[name]), (name, version)
    with refmaker.serving(refs) as url:
        spec = {"driver": "zarr", "kvstore": f"{url}shuffled/"}
        opening = tensorstore.open(spec, open=True, read=True)
        with pytest.raises(ValueError, match="filter"):
            opening.result()


@pytest.mark.parametrize("recode", ["zstd", "gzip"])
def test_tensorstore_reads_what_was_recoded(scanned, tmp_path, recode):
    refs, expected = scanned
    refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode=recode)
    for name in ("shuffled", "scaled", "sparse"):
        spec = {"driver": "zarr3", "kvstore": f"file://{tmp_path}/out/{name}/"}
        read = tensorstore.open(spec, open=True, read=True).result().read().result()
        assert np.array_equal(read, expected[name])


@pytest.mark.parametrize(("version", "folder"), [(2, "x/"), (3, "x/c/")])
def test_absent_chunks_stay_absent(tmp_path, version, folder):
    chunks = {1: np.array([1, 2], ">i4").tobytes(), 3: np.array([3, 4], ">i4").tobytes()}
    table = ChunkTable.inline((5,), chunks)
    array = Array((9,), (2,), np.dtype(">i4"), table, fill_value=-5)
    refs = ReferenceSet(Group({"x": array}))
    done = refmaker.materialize(refs, tmp_path / "out", zarr_format=version, recode="raw")
    assert done.chunks == 2
    names = {path.name for path in (tmp_path / "out" / folder).iterdir() if path.is_file()}
    assert {name for name in names if name.isdigit()} == {"1", "3"}
    read = zarr.open_group(tmp_path / "out", mode="r")["x"][...]
    assert read.tolist() == [-5, -5, 1, 2, -5, -5, 3, 4, -5]
    with refmaker.serving(refs, zarr_format=version, decoded=True) as url:
        assert ask(url, f"{folder}0")[0].status == 404
        assert ask(url, f"{folder}1")[1] == np.array([1, 2], "<i4").tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_chunks_of_different_lengths(tmp_path, order):
    # Of the second chunk, padded to three, two rows count; of the last, padded too, one.
    pieces = [np.arange(12, dtype="i4").reshape(3, 4) + 100 * k for k in range(3)]
    data = {k: np.asarray(piece).tobytes(order) for k, piece in enumerate(pieces)}
    edges = (Edges(np.array([3, 2, 1]), np.array([3, 3, 3])), None)
    table = ChunkTable.inline((3, 1), data)
    array = Array((6, 4), (3, 4), np.dtype("i4"), table, order=order, edges=edges)
    expected = np.concatenate([pieces[0], pieces[1][:2], pieces[2][:1]])
    refs = ReferenceSet(Group({"x": array}))
    if not READS_UNEVEN:
        with pytest.raises(MissingDependencyError, match="zarr"):
            refmaker.materialize(refs, tmp_path / "out", recode="raw")
        return
    for recode in ("raw", "zstd", None):
        refmaker.materialize(refs, tmp_path / str(recode), recode=recode)
        document = json.loads((tmp_path / str(recode) / "x/zarr.json").read_text())
        assert ("refmaker.crop" in str(document)) == (recode is None)
        with zarr.config.set({"array.rectilinear_chunks": True}):
            read = zarr.open_group(tmp_path / str(recode), mode="r")["x"][...]
        assert np.array_equal(read, expected), recode
    with pytest.raises(UnsupportedError, match="different lengths"):
        refmaker.materialize(refs, tmp_path / "two", zarr_format=2, recode="raw")


def test_what_version_3_cannot_say_is_refused_before_anything_is_written(tmp_path):
    data = np.arange(1, 5, dtype="f8")
    codec = {"id": "fixedscaleoffset", "scale": 2, "offset": 1, "dtype": "<f8", "astype": "<u1"}
    stored_bytes = numcodecs.get_codec(codec).encode(data).tobytes()
    table = ChunkTable.inline((1,), {0: stored_bytes})
    array = Array((4,), (4,), data.dtype, table, filters=(codec,))
    refs = ReferenceSet(Group({"x": array}))
    with pytest.raises(UnsupportedError, match="fixedscaleoffset"):
        refmaker.materialize(refs, tmp_path / "out", zarr_format=3)
    assert not (tmp_path / "out").exists()
    # Decoded, there is no codec left to be named.
    refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode="gzip")
    assert np.array_equal(zarr.open_group(tmp_path / "out", mode="r")["x"][...], data)


def test_an_unfinished_store_goes_on_in_the_same_way_only(scanned, tmp_path):
    refs, _ = scanned
    source = refs.report.url
    os.rename(source, f"{source}.away")
    try:
        first = refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode="zstd")
    finally:
        os.rename(f"{source}.away", source)
    assert first.failed
    assert not list(tmp_path.glob("out/**/zarr.json"))
    for other in ({"zarr_format": 3}, {"recode": "zstd"}, {"zarr_format": 3, "recode": "gzip"}):
        with pytest.raises(refmaker.errors.SourceError, match="other references"):
            refmaker.materialize(refs, tmp_path / "out", **other)
    done = refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode="zstd")
    assert (done.complete, done.kept) == (True, first.copied)


def test_answers(scanned):
    refs, expected = scanned
    chunk = expected["shuffled"][4:8, :8].tobytes()
    with refmaker.serving(refs, zarr_format=3, decoded=True) as url:
        assert ask(url, "shuffled/c/1/0")[1] == chunk
        assert int(ask(url, "shuffled/c/1/0", "HEAD")[0].headers["Content-Length"]) == len(chunk)
        answer, part = ask(url, "shuffled/c/1/0", Range="bytes=8-23")
        assert (answer.status, part) == (206, chunk[8:24])
        assert answer.headers["Content-Range"] == f"bytes 8-23/{len(chunk)}"
        for key in (
            *("shuffled/c/9/0", "shuffled/c/1", "shuffled/c", "shuffled/1.0", "shuffled/c/1/0/0"),
            *("shuffled/c/01/0", "nothing/c/0", "shuffled/.zarray", "c", "c/0"),
        ):
            assert ask(url, key)[0].status == ask(url, key, "HEAD")[0].status == 404, key
        assert b"version 3" in ask(url, "")[1]


@pytest.mark.parametrize("recode", [None, "raw", "zstd"])
def test_identifiers_stay_behind(tmp_path, recode):
    folder, pixels = deflated(tmp_path / "in", count=2)
    refs = refmaker.scan(folder, isolate="never")
    assert refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode=recode).complete
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [path for path in written if traces(path.read_bytes())]
    assert np.array_equal(zarr.open_group(tmp_path / "out", mode="r")["image"][...], pixels)
    with refmaker.serving(refs, zarr_format=3, decoded=recode == "raw") as url:
        answer, body = ask(url, "image/c/1/0/0")
        assert answer.status == 200
        assert not traces(body)


def test_a_chunk_that_cannot_be_decoded(tmp_path):
    table = ChunkTable.inline((2,), {0: bytes(8), 1: b"no stream"})
    array = Array((2,), (1,), np.dtype("f8"), table, compressor={"id": "zlib"})
    refs = ReferenceSet(Group({"x": array}))
    done = refmaker.materialize(refs, tmp_path / "out", zarr_format=3, recode="gzip")
    assert done.failed == 2
    assert all(isinstance(error, CodecError) for error in done.failures)
    assert {error.path for error in done.failures} == {"x/0", "x/1"}
    with refmaker.serving(refs, decoded=True) as url:
        assert ask(url, "x/1")[0].status == 502


@pytest.mark.parametrize("how", [{"zarr_format": 3}, {"decoded": True}])
def test_the_same_policy(tmp_path, how):
    (tmp_path / "secret").write_bytes(b"secret!!")
    place = {"offset": np.array([0]), "length": np.array([8])}
    table = ChunkTable.from_columns((1,), (str(tmp_path / "secret"),), **place)
    refs = ReferenceSet(Group({"x": Array((8,), (8,), np.dtype("u1"), table)}))
    refs.write("memory://served3.json")
    with pytest.raises(PolicyError), refmaker.serving("memory://served3.json", **how):
        pass


def test_words_that_are_none(scanned, tmp_path):
    refs, _ = scanned
    with pytest.raises(ValueError, match="raw, zstd, gzip"):
        refmaker.materialize(refs, tmp_path / "out", recode="zip")
    with pytest.raises(ValueError, match="zarr_format"):
        refmaker.materialize(refs, tmp_path / "out", zarr_format=4)


def test_commands(scanned, tmp_path):
    from click.testing import CliRunner

    from refmaker.cli import main

    refs, expected = scanned
    refs.write(tmp_path / "a.json")
    words = ["materialize", str(tmp_path / "a.json"), str(tmp_path / "out"), "--zarr-format", "3"]
    result = CliRunner().invoke(main, [*words, "--recode", "zstd"])
    assert result.exit_code == 0, result.output
    assert np.array_equal(
        zarr.open_group(tmp_path / "out", mode="r")["shuffled"][...], expected["shuffled"]
    )
    words = ["serve", str(tmp_path / "a.json"), "--port", "0", "--zarr-format", "3", "--decoded"]
    command = [sys.executable, "-m", "refmaker", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        assert ask(url, "shuffled/c/1/0")[1] == expected["shuffled"][4:8, :8].tobytes()
        process.send_signal(signal.SIGINT)
        process.wait(30)
