"""``refmaker info``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import refmaker


@pytest.fixture
def sparse(toy, tmp_path):
    return toy.write_toy(
        tmp_path / "s.toy",
        {"s": np.arange(24, dtype=">u2").reshape(12, 2), "g/t": np.arange(3000.0)},
        skip=(1,),
        compressed=True,
    )


def test_a_reference_file_and_its_data_file_are_shown_alike(run, sparse):
    run("scan", sparse, "-o", "s.json")
    (refs,) = run("info", "s.json", "--json").records
    (data,) = run("info", sparse, "--json").records
    assert (refs.pop("input"), data.pop("input")) == ("s.json", str(sparse))
    # Only a scan knows what it left out as there already.
    assert (refs.pop("duplicated"), data.pop("duplicated")) == (None, [])
    assert refs == data
    assert refs["format"] == "toy"
    assert refs["zarr_format"] == 2
    assert refs["groups"] == ["/", "g"]
    s, _ = refs["arrays"]
    assert s == {
        "path": "s",
        **dict.fromkeys(("units", "standard_name", "long_name", "scale_factor", "add_offset")),
        **dict.fromkeys(("valid_min", "valid_max", "grid_mapping")),
        "missing_value": [7],
        "unsigned": False,
        "shape": [12, 2],
        "chunk_shape": [4, 2],
        "chunk_extents": ["4", "2"],
        "grid": [3, 1],
        "dimensions": ["s_0", "s_1"],
        "dtype": ">u2",
        "fill_value": 7,
        "codecs": ["zlib"],
        "packages": ["numcodecs"],
        "nbytes": 48,
        "stored": s["stored"],
        "chunks": {"total": 3, "referenced": 2, "inlined": 0, "absent": 1},
    }
    assert refs["packages"] == ["numcodecs"]
    (target,) = refs["targets"]
    assert target["url"] == str(sparse)
    assert target["chunks"] == 2 + 749
    table = refmaker.read("s.json").group
    assert sum(entry["stored"] for entry in refs["arrays"]) == refs["stored"] == target["bytes"]
    assert refs["protocols"] == ["file"]
    assert target["bytes"] == sum(int(a.chunks.length.sum()) for _, a in table.arrays())


def test_the_tree(run, sparse):
    lines = run("info", sparse).out.splitlines()
    assert lines[0] == f"{sparse}  (toy, 2 arrays, 753 chunks)"
    assert lines[1] == "dimensions: s_0 = 12, s_1 = 2, t_0 = 3000"
    assert lines[2] == (
        "├── s  (s_0: 12, s_1: 2)  >u2  missing 7  chunks (4, 2)  zlib  [2 referenced, 1 absent]"
    )
    assert lines[3] == "└── g/"
    assert lines[4].startswith("    └── t  (t_0: 3000)  float64  missing 7  chunks (4)  zlib")
    assert lines[5] == "files:"
    assert "codecs: zlib (numcodecs)" in lines


def test_what_is_skipped_is_shown(run, files):
    assert "skipped: odd: " in run("info", files["lossy"]).out
    (told,) = run("info", files["lossy"], "--json").records
    assert told["skipped"][0]["code"] == "dtype-unknown"


def test_standard_input(run, files):
    text = run("scan", files["a"], "-o", "-").raw
    (told,) = run("info", "-", "--json", input=text).records
    assert [entry["path"] for entry in told["arrays"]] == ["x", "g/y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"{", "not JSON"),
        (b'{"version": 7, "refs": {}}', "reference version 7"),
        (b'{"version": 1, "refs": {"x/0": ["a", 0, 1]}}', "no metadata"),
        (b"what is this", "not a format that is known here"),
    ],
)
def test_bad_files(run, tmp_path, content, message):
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)
    ran = run("info", path, code=1)
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_attributes_are_shown_when_asked_for(run, tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs["title"] = "a\x1b[31mb"
        for name, values in (("time", [0.0, 24.0]), ("x", [1.5, 2.5, 3.5])):
            file[name] = values
            file[name].make_scale(name)
        file["time"].attrs["units"] = "hours since 2000-01-01"
        file["x"].attrs["units"] = "km"
        made = file.create_dataset("v", data=np.arange(6.0).reshape(2, 3), fillvalue=-1)
        made.attrs["_FillValue"] = np.array([-1.0])
        made.attrs["valid_range"] = np.array([0, 9], "i2")
        made.dims[0].attach_scale(file["time"])
        made.dims[1].attach_scale(file["x"])
    lines = run("info", "a.nc", "-a").out.splitlines()
    assert '    title = "a\\u001b[31mb"' in lines
    at = next(number for number, line in enumerate(lines) if " v  " in line)
    assert [line.strip(" │") for line in lines[at + 1 : at + 3]] == [
        "_FillValue = -1.0", "valid_range = [0, 9]",
    ]  # fmt: skip
    assert "_nczarr_attr" not in "".join(lines)
    plain = run("info", "a.nc").out.splitlines()
    assert not any("valid_range" in line or "title" in line for line in plain)
    at = plain.index("coordinates:")
    assert sorted(line.strip() for line in plain[at + 1 : at + 3]) == [
        "time  2000-01-01T00:00:00 .. 2000-01-02T00:00:00, standard calendar",
        "x  1.5 .. 3.5 km, every 1",
    ]  # fmt: skip
    (record,) = run("info", "a.nc", "--json").records
    assert {span["path"]: (span["first"], span["last"]) for span in record["spans"]} == {
        "time": ("2000-01-01T00:00:00", "2000-01-02T00:00:00"), "x": (1.5, 3.5),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"scale_factor": 0.5, "add_offset": 10, "units": "m"}, "x  10.5 .. 11.5 m, every 0.5"),
        ({"units": "eras since yesterday"}, "x  1 .. 3 eras since yesterday, every 1"),
        ({"units": "days since 2000-02-28", "calendar": "noleap"},
         "x  2000-03-01T00:00:00 .. 2000-03-03T00:00:00, every 1 days, noleap calendar"),
    ],
)  # fmt: skip
def test_spans_follow_attributes(run, tmp_path, attributes, told):
    import h5py

    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["x"] = np.array([1, 2, 3], "i2")
        file["x"].make_scale("x")
        file["x"].attrs.update(attributes)
    assert f"  {told}" in run("info", "a.nc").out.splitlines()


def test_spans_of_nothing_are_left_out(run, tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.nc", "w") as file:
        for name, values in (
            *(("x", [np.nan, 1]), ("y", np.zeros(0)), ("z", [0, np.inf])),
            *(("filled", [1, -99]), ("bytes", np.array([-1, -2], "i1"))),
        ):
            file[name] = np.array(values)
            file[name].make_scale(name)
        file["filled"].attrs["missing_value"] = -99
        file["bytes"].attrs.update({"_Unsigned": "true", "valid_max": np.int8(-3)})
    assert "coordinates:" not in run("info", "a.nc").out
    assert run("info", "a.nc", "--json").records[0]["spans"] == []


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "air.nc",
            (
                "dimensions: time = 124, lat = 11, lon = 21",
                "int16  K, scale 0.01, offset 273.15",
                "  time  2014-10-01T00:00:00 .. 2014-10-31T18:00:00, every 6 hours, standard",
                "  latitude 50 .. 75, longitude 250 .. 300",
            ),
        ),
        (
            "wind.grb",
            (
                "heightAboveGround/instant/heightAboveGround  10 m",
                "2026-03-01T06:00:00 .. 2026-03-07T18:00:00, every 6 hours",
                "  reference system latitude longitude",
                "codecs: refmaker.grib (imagecodecs, refmaker)",
                "messages: 54 found, 54 placed",
            ),
        ),
        ("ct", ("  image  z 2.5 mm to superior, y 0.5 mm to posterior, x 0.5 mm to left",)),
        ("blobs.tif", ("  z  0 .. 29 micrometer, every 1",)),
    ],
)
def test_an_ordinary_file_takes_one_screen(run, name, told):
    text = run("info", EXAMPLES / name).out
    assert len(text.splitlines()) <= 40
    for part in told:
        assert part in text


def test_levels_and_places_of_a_raster(run, tmp_path):
    import rasterio
    from rasterio.transform import Affine

    profile = {"driver": "GTiff", "width": 512, "height": 256, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, **place, **tiles) as file:
        file.write(np.ones((1, 256, 512), "u1"))
        file.build_overviews([2, 4])
    lines = run("info", "a.tif").out.splitlines()
    assert "  reference system WGS 84 / UTM zone 33N (EPSG:32633)" in lines
    (extent,) = [line for line in lines if line.startswith("  x ")]
    assert extent == (
        "  x 500000 .. 505120, y 4997440 .. 5000000 metre (edges of cells), cells of 10 x 10"
    )
    assert "└── ... and 2 smaller copies (-a shows all)" in lines
    assert "  /  256 x 512, 128 x 256, 64 x 128 (y, x)" in lines
    assert not any(line.lstrip(" │├└─").startswith("1/") for line in lines)
    every = run("info", "a.tif", "-a").out
    assert "1/" in every
    assert "2/x" in every


def test_long_lists_are_cut_and_say_so(run, toy, tmp_path):
    path = toy.write_toy(tmp_path / "m.toy", {f"v{n:03}": np.arange(n + 1) for n in range(90)})
    out = run("info", path).out
    assert "... and 50 more (-a shows all)" in out
    assert len(out.splitlines()) <= 60
    assert "v089" in run("info", path, "-a").out


def test_what_is_missing_is_told(run, files, monkeypatch):
    from refmaker.publish.description import content

    monkeypatch.setattr(content, "_missing", lambda package: package == "numcodecs")
    assert "not installed: numcodecs" in run("info", files["b"]).out.splitlines()
    (record,) = run("info", files["b"], "--json").records
    assert record["codecs"] == [{"id": "zlib", "packages": ["numcodecs"], "missing": ["numcodecs"]}]
