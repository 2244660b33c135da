"""Cubes of many files: what is read is what the files' own library reads, or an error."""

from __future__ import annotations

import os

import netCDF4
import numpy as np
import pytest

import refmaker
from refmaker.codecs import register
from refmaker.errors import CodecError, MetadataError, SourceNotFoundError
from refmaker.model import Group
from refmaker.testing.http import RangeServer
from refmaker.testing.reading import open_stock

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03"]
PATTERN = "{day:%Y%m%d}/m{member:02d}.nc"


@pytest.fixture(autouse=True, scope="module")
def _codecs():
    register()


def write(path, seed, *, zlib=False, form="NETCDF4", size=20, scale=None, units="K", extra=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    rng = np.random.default_rng(seed)
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.title = "x" * extra
        file.createDimension("time", 1)
        file.createDimension("y", size)
        file.createDimension("x", 200)
        file.createVariable("x", "f8", ("x",))[:] = np.arange(200) / 2
        file.createVariable("y", "f4", ("y",))[:] = np.arange(size)
        made = file.createVariable(
            "t", "i2" if scale else "f4", ("time", "y", "x"), zlib=zlib, chunksizes=(1, 10, 200)
        ) if form == "NETCDF4" else file.createVariable("t", "f4", ("time", "y", "x"))  # fmt: skip
        made.units = units
        if scale:
            made.scale_factor = scale
        made[:] = rng.integers(0, 1000, (1, size, 200)) if scale else rng.random((1, size, 200))
        file.createVariable("run", "i4", ())[...] = seed


def files(folder, **options):
    for i, day in enumerate(DAYS):
        for member in range(2):
            path = folder / day.replace("-", "") / f"m{member:02d}.nc"
            write(path, 2 * i + member, **options)
    return f"{folder}/{PATTERN}", folder / "20200102/m01.nc"


def truth(folder, name):
    found = []
    for day in DAYS:
        for member in range(2):
            with netCDF4.Dataset(folder / day.replace("-", "") / f"m{member:02d}.nc") as file:
                file.set_auto_maskandscale(False)
                found.append(np.asarray(file[name][...]))
    return np.array(found).reshape(3, 2, *found[0].shape)


VALUES = {"day": DAYS, "member": range(2)}


@pytest.mark.parametrize(
    ("options", "layout"),
    [({}, "ranges"), ({"zlib": True}, "file"), ({"form": "NETCDF3_CLASSIC"}, "ranges"),
     ({"scale": 0.5}, "file")],
    ids=["plain", "deflated", "classic", "packed"],
)  # fmt: skip
def test_the_cube_is_what_the_files_are(tmp_path, options, layout):
    pattern, like = files(tmp_path, **options)
    refs = refmaker.pattern(pattern, like, VALUES, check_files=6)
    whole = refs.group["t"].codecs and refs.group["t"].codecs[0]["id"] == "refmaker.file"
    assert bool(whole) == (layout == "file")
    opened = open_stock(refs)
    np.testing.assert_array_equal(opened["t"][:], truth(tmp_path, "t"))
    np.testing.assert_array_equal(opened["run"][:], truth(tmp_path, "run"))
    np.testing.assert_array_equal(opened["x"][:], np.arange(200) / 2)
    assert refs.group["t"].dimension_names == ("day", "member", "time", "y", "x")
    ds = refmaker.open_dataset(refs)
    assert ds["day"].values.astype("M8[D]").astype(str).tolist() == DAYS
    assert ds["member"].values.tolist() == [0, 1]


@pytest.mark.parametrize("zlib", [False, True])
def test_a_field_takes_the_place_of_a_dimension_of_size_one(tmp_path, zlib):
    _, like = files(tmp_path, zlib=zlib)
    pattern = f"{tmp_path}/{{time:%Y%m%d}}/m01.nc"
    refs = refmaker.pattern(pattern, like, {"time": DAYS})
    assert refs.group["t"].dimension_names == ("time", "y", "x")
    assert refs.group["t"].shape == (3, 20, 200)
    opened = open_stock(refs)
    np.testing.assert_array_equal(opened["t"][:], truth(tmp_path, "t")[:, 1, 0])
    np.testing.assert_array_equal(opened["time"][:], np.array(DAYS, "M8[D]").astype(int))


def test_other_dimensions_do_not_give_way(tmp_path):
    _, like = files(tmp_path)
    pattern = f"{tmp_path}/{{x:%Y%m%d}}/m01.nc"
    with pytest.raises(MetadataError, match="another name"):
        refmaker.pattern(pattern, like, {"x": DAYS})


@pytest.mark.parametrize("form", ["json", "compact", "parquet"])
def test_written_and_read_back(tmp_path, form):
    pattern, like = files(tmp_path, zlib=True)
    refs = refmaker.pattern(pattern, like, VALUES)
    refs.write(tmp_path / "cube", format=form)
    again = refmaker.read(tmp_path / "cube")
    assert again.group["t"].chunks.same(refs.group["t"].chunks)
    np.testing.assert_array_equal(open_stock(again)["t"][:], truth(tmp_path, "t"))


@pytest.mark.parametrize("zlib", [False, True])
def test_missing_files_are_missing_chunks(tmp_path, zlib):
    pattern, like = files(tmp_path, zlib=zlib)
    expected = truth(tmp_path, "t")
    (tmp_path / "20200101/m01.nc").unlink()
    (tmp_path / "20200103/m00.nc").unlink()
    refs = refmaker.pattern(pattern, like, VALUES, allow_missing=True)
    assert "2 of 6 files are not there" in refs.report.warnings
    expected[0, 1] = expected[2, 0] = 0
    np.testing.assert_array_equal(open_stock(refs)["t"][:], expected)
    unseen = refmaker.pattern(pattern, like, VALUES)
    with pytest.raises(Exception, match="failed to fetch"):
        open_stock(unseen)["t"][:]


def test_relative_patterns_become_absolute(tmp_path, monkeypatch):
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    refs = refmaker.pattern(PATTERN, "20200102/m01.nc", VALUES)
    assert all(url.startswith(f"{tmp_path}/2020") for url in refs.group["t"].chunks.urls)


def test_existing_files_in_a_store(tmp_path):
    import fsspec

    _, like = files(tmp_path)
    fs = fsspec.filesystem("memory")
    for i in (0, 2):
        fs.pipe(f"/cube/{i}/a.nc", like.read_bytes())
    try:
        refs = refmaker.pattern(
            "memory://cube/{n:d}/a.nc", like, {"n": range(4)}, allow_missing=True
        )
        assert refs.group["run"].chunks.numbers().tolist() == [0, 2]
    finally:
        fs.rm("/cube", recursive=True)


def test_existing_files_of_a_web_server(tmp_path):
    _, like = files(tmp_path)
    (tmp_path / "20200102/m00.nc").unlink()
    with RangeServer(tmp_path) as server:
        pattern = server.url("") + PATTERN
        refs = refmaker.pattern(pattern, like, VALUES, allow_missing=True, check_files=1)
    assert refs.group["run"].chunks.numbers().tolist() == [0, 1, 3, 4, 5]


class TestFilesThatDiffer:
    """Neither sampled nor read does a different file pass for one like the scanned."""

    OTHER = "20200103/m01.nc"

    @pytest.mark.parametrize(
        ("change", "zlib"),
        [({"size": 30}, False), ({"units": "C"}, False), ({"extra": 5000}, False),
         ({"size": 30, "zlib": True}, True), ({"units": "C", "zlib": True}, True),
         ({"scale": 2.0, "zlib": True}, True)],
        ids=str,
    )  # fmt: skip
    def test_when_sampled(self, tmp_path, change, zlib):
        pattern, like = files(tmp_path, zlib=zlib)
        write(tmp_path / self.OTHER, 9, **change)
        with pytest.raises(MetadataError, match=self.OTHER) as caught:
            refmaker.pattern(pattern, like, VALUES)
        assert caught.value.path in ("t", "run", "y")

    @pytest.mark.parametrize(
        ("before", "after", "message"),
        [
            ({}, {"size": 30}, "shape"),
            ({}, {"units": "C"}, "units"),
            ({"scale": 2.0}, {"scale": 4.0}, "scale_factor"),
            ({"scale": 2.0}, {}, "dtype"),
        ],
        ids=str,
    )
    def test_when_read(self, tmp_path, before, after, message):
        pattern, like = files(tmp_path, zlib=True, **before)
        refs = refmaker.pattern(pattern, like, VALUES)
        write(tmp_path / self.OTHER, 9, zlib=True, **after)
        opened = open_stock(refs)["t"]
        assert opened[0, 0].any()
        with pytest.raises(CodecError, match=f"t: its .*{message}"):
            opened[2, 1]

    def test_damaged_files(self, tmp_path):
        pattern, like = files(tmp_path, zlib=True)
        refs = refmaker.pattern(pattern, like, VALUES, check_files=0)
        whole = (tmp_path / self.OTHER).read_bytes()
        opened = open_stock(refs)["t"]
        for data in (whole[:1000], b"", b"nonsense" * 99, whole[:-4000]):
            (tmp_path / self.OTHER).write_bytes(data)
            with pytest.raises(CodecError, match=r"refmaker\.file"):
                opened[2, 1]

    def test_shared_coordinates(self, tmp_path):
        pattern, like = files(tmp_path, zlib=True)
        with netCDF4.Dataset(tmp_path / self.OTHER, "a") as file:
            file["x"][0] = 99
        with pytest.raises(MetadataError, match="concat_variables=\\['x'\\]"):
            refmaker.pattern(pattern, like, VALUES)
        refs = refmaker.pattern(pattern, like, VALUES, concat_variables=["x"])
        assert open_stock(refs)["x"][2, 1, 0] == 99

    def test_none_is_there(self, tmp_path):
        _, like = files(tmp_path)
        pattern = f"{tmp_path}/wrong/{PATTERN}"
        with pytest.raises(SourceNotFoundError, match="look at the pattern"):
            refmaker.pattern(pattern, like, VALUES)


def test_shared_variables(tmp_path):
    pattern, like = files(tmp_path)
    refs = refmaker.pattern(pattern, like, VALUES, identical_variables=["run"], check_files=0)
    assert refs.group["run"].shape == ()
    with pytest.raises(MetadataError, match="concat_variables=\\['run'\\]"):
        refmaker.pattern(pattern, like, VALUES, identical_variables=["run"], check_files=6)


def test_layouts_on_request(tmp_path):
    pattern, like = files(tmp_path)
    refs = refmaker.pattern(pattern, like, VALUES, chunk_source="file")
    assert refs.group["t"].codecs[0]["id"] == "refmaker.file"
    np.testing.assert_array_equal(open_stock(refs)["t"][:], truth(tmp_path, "t"))
    deflated, like = files(tmp_path / "z", zlib=True)
    with pytest.raises(MetadataError, match="compressed, inlined or packed are t"):
        refmaker.pattern(deflated, like, VALUES, chunk_source="ranges")
    with pytest.raises(ValueError, match="chunk_source"):
        refmaker.pattern(pattern, like, VALUES, chunk_source="other")


def test_texts_are_told_lost(tmp_path):
    path = tmp_path / "0.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("n", 2)
        file.createVariable("names", str, ("n",))[:] = np.array(["a", "bb"], object)
        file.createVariable("v", "f4", ("n",), zlib=True)[:] = [1, 2]
    refs = refmaker.pattern(f"{tmp_path}/{{i:d}}.nc", path, {"i": [0]})
    assert [row.path.strip("/") for row in refs.report.skipped] == ["names"]
    assert list(refs.group.members) == ["i", "v"]


@pytest.mark.parametrize(
    ("values", "message"),
    [({"day": DAYS}, "no values of the field 'member'"),
     ({**VALUES, "level": [1]}, "no field 'level'"),
     ({**VALUES, "member": []}, "no values of 'member'")],
)  # fmt: skip
def test_wrong_values(tmp_path, values, message):
    pattern, like = files(tmp_path)
    with pytest.raises(MetadataError, match=message):
        refmaker.pattern(pattern, like, values)


def test_unknown_variables(tmp_path):
    pattern, like = files(tmp_path)
    with pytest.raises(MetadataError, match="no variable 'nothing'"):
        refmaker.pattern(pattern, like, VALUES, concat_variables=["nothing"])


def test_many_files_cost_little(tmp_path):
    _, like = files(tmp_path)
    values = {"day": np.arange("2000-01-01", "2020-01-01", dtype="M8[D]"), "member": range(20)}
    refs = refmaker.pattern(f"s3://bucket/{PATTERN}", like, values, check_files=0)
    assert refs.group["t"].chunks.referenced == 7305 * 20 * 2
    refs.write(tmp_path / "cube.json", format="compact")
    assert (tmp_path / "cube.json").stat().st_size < 8_000
    again = refmaker.read(tmp_path / "cube.json")
    assert again.group["t"].chunks.same(refs.group["t"].chunks)
    assert open_stock(Group({"day": again.group["day"]}))["day"][:].tolist() == list(
        range(10957, 10957 + 7305)
    )
    assert again.group["t"].chunks.get((31, 5, 0, 1, 0)).url == "s3://bucket/20000201/m05.nc"


class TestCommand:
    """``refmaker pattern``."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        from click.testing import CliRunner

        from refmaker.cli import main

        monkeypatch.chdir(tmp_path)

        def run(*args, code=0):
            ran = CliRunner().invoke(main, ["pattern", *map(str, args)])
            assert ran.exit_code == code, ran.output
            return ran

        return run

    def test_it(self, run, tmp_path):
        pattern, like = files(tmp_path / "data", zlib=True)
        days, members = "day=2020-01-01:2020-01-03:1D", "member=0,1"
        args = (
            pattern,
            "--scanned-file",
            like,
            "--range",
            days,
            "--values",
            members,
            "-o",
            "cube.json",
        )
        ran = run(*args, "--out-format", "compact")
        assert "6 files -> cube.json" in ran.stdout
        opened = open_stock(refmaker.read("cube.json"))
        np.testing.assert_array_equal(opened["t"][:], truth(tmp_path / "data", "t"))
        assert "exists already" in run(*args, code=1).stderr
        run(*args, "--overwrite", "--json", "--check-files", "0")
        assert '"gen"' not in (tmp_path / "cube.json").read_text()

    def test_wrong_use(self, run, tmp_path):
        pattern, like = files(tmp_path / "data")
        args = (pattern, "--scanned-file", like, "-o", "cube.json")
        assert "--range day" in run(*args, code=1).stderr
        run(*args, "--range", "day", code=2)
        run(*args, "--range", "level=0:1", code=2)
        run(*args, "--range", "member=0:1", "--values", "member=1", code=2)
        assert "no range of dates" in run(*args, "--range", "day=a:b", code=1).stderr
        assert os.listdir(tmp_path) == ["data"]
