"""What the page for looking at sets asks for, compared with the values of the files."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import unquote, urlencode, urlsplit

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import xarray as xr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.errors import MissingDependencyError, PolicyError, SourceError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.publish.http_server import running
from refmaker.publish.viewer.app import application
from refmaker.publish.viewer.colours import colour_table
from refmaker.publish.viewer.contents import Contents
from refmaker.publish.viewer.points import PointGrid
from refmaker.publish.viewer.regions import Regions
from refmaker.publish.viewer.scene import Scene
from refmaker.storage.reference_set import ReferenceSet

HOSTILE = '"><script>alert(1)</script>'
AIR = "examples/air.nc"


class Answer:
    """What a server said."""

    def __init__(self, answer):
        self.status_code, self.headers = answer.status, answer.headers
        self.content = answer.read()

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


class Client:
    """Asks a server that runs; cookies, redirections and clean paths are not its business."""

    def __init__(self, url):
        self.origin = url.rstrip("/")

    def get(self, path, params=(), headers=()):
        connection = http.client.HTTPConnection(urlsplit(self.origin).netloc, timeout=60)
        asked = f"{path}?{urlencode(params)}" if params else path
        connection.request("GET", asked, headers=dict(headers))
        found = Answer(connection.getresponse())
        connection.close()
        return found


@contextmanager
def client(refs, **options):
    with running(application(refs, **options), "127.0.0.1", 0) as url:
        yield Client(url)


def ask(page, question, status=200, **parameters):
    """Return the answer to a question of the page."""
    if "at" in parameters:
        parameters["at"] = json.dumps(parameters["at"])
    answer = page.get(f"/api/{question}", params=parameters)
    assert answer.status_code == status, answer.text
    png = answer.headers["content-type"] == "image/png"
    return imagecodecs.png_decode(answer.content) if png else answer.json()


def volume(page, path):
    """Return neuroglancer's state for an image, and a reader of the keys of a layer's store."""
    state = json.loads(_fragment(ask(page, "volume", v=path, width=800, height=600)["url"]))
    sources = [layer["source"] for layer in state["layers"]]
    urls = [source if isinstance(source, str) else source["url"] for source in sources]
    return state, [url.removeprefix(f"zarr2://{page.origin}") for url in urls]


def _fragment(url):
    return unquote(url.partition("#!")[2])


def whole(page, url, level=0):
    """Return all values of a level, put together from its chunks."""
    known = page.get(f"{url}{level}/.zarray").json()
    assert known["compressor"] is None
    found = np.zeros(known["shape"], known["dtype"])
    grid = [-(-n // c) for n, c in zip(known["shape"], known["chunks"], strict=True)]
    for at in np.ndindex(*grid):
        answer = page.get(f"{url}{level}/{'/'.join(map(str, at))}")
        assert answer.status_code == 200, answer.text
        chunk = np.frombuffer(answer.content, known["dtype"]).reshape(known["chunks"])
        starts = [i * c for i, c in zip(at, known["chunks"], strict=True)]
        inside = tuple(slice(s, s + c) for s, c in zip(starts, known["chunks"], strict=True))
        found[inside] = chunk[tuple(slice(0, n) for n in found[inside].shape)]
    return found


@pytest.fixture
def page():
    with client(AIR) as found:
        yield found


@pytest.fixture
def air():
    with xr.open_dataset(AIR, engine="h5netcdf") as opened:
        yield opened["air"].load()


def test_what_is_in_the_set(page, air):
    found = ask(page, "set")
    assert found["name"] == "air.nc"
    first = found["subjects"][0]
    assert (first["path"], first["kind"], first["units"]) == ("air", "map", "K")
    assert dict(map(tuple, first["shape"])) == dict(air.sizes)
    assert {one["path"] for one in found["subjects"] if one["beside"]} == {"lat", "lon", "time"}


@pytest.mark.parametrize("time", [0, 7, 123])
def test_a_picture_has_the_colours_of_the_values(page, air, time):
    low, high = 250.0, 285.0
    asked = {"v": "air", "at": {"time": time}, "low": low, "high": high, "colours": "viridis"}
    found = ask(page, "picture.png", **asked)
    # Latitudes count down, and so do the rows.
    values = air[time].sortby("lat", ascending=False).to_numpy()
    index = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(int)
    np.testing.assert_array_equal(found[..., :3], colour_table("viridis")[index])
    assert (found[..., 3] == 255).all()
    part = ask(page, "picture.png", **asked, rows="2:5", columns="1:21")
    np.testing.assert_array_equal(part, found[2:5, 1:])


def test_the_names_of_places_are_the_coordinates(page, air):
    found = ask(page, "labels", v="air", dim="time", start=0)["labels"]
    assert found == [str(time)[:16].replace("T", " ") for time in air["time"].to_numpy()]
    about = ask(page, "variable", v="air")
    (slider,) = about["sliders"]
    assert (slider["dim"], slider["size"]) == ("time", 124)
    first, step = about["rows"]["places"]
    np.testing.assert_allclose(first + step * np.arange(air.sizes["lat"]), air["lat"])
    assert not about["rows"]["flip"]
    assert air.min() <= about["low"] < about["high"] <= air.max()


def test_values_and_series_are_those_of_xarray(page, air):
    found = ask(page, "value", v="air", at={"time": 9}, row=3, column=4)
    assert float(found["value"]) == pytest.approx(float(air[9, 3, 4]), abs=1e-5)
    assert dict(found["places"])["lat"] == f"{float(air['lat'][3]):g}\N{DEGREE SIGN}N"
    found = ask(page, "series", v="air", dim="time", at={"time": 9}, row=3, column=4)
    np.testing.assert_allclose(found["values"], air[:, 3, 4], rtol=1e-6)
    assert found["labels"][-1] == str(air["time"].to_numpy()[-1])[:16].replace("T", " ")
    assert found["step"] == 1


def test_missing_values_are_transparent_and_no_numbers(tmp_path):
    values = np.array([[1, -9, 3], [4, 5, 6]], "i2")
    data = xr.Dataset({"x": (("lat", "lon"), values, {"missing_value": np.int16(-9)})})
    data["x"].attrs["scale_factor"] = 0.5
    data = data.assign_coords(lat=("lat", [10.0, 20.0], {"units": "degrees_north"}))
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with client(tmp_path / "a.nc") as page:
        found = ask(page, "picture.png", v="x", low=0, high=3, colours="grey", at={})
        # The last latitude is the northernmost.
        assert found[..., 3].tolist() == [[255] * 3, [255, 0, 255]]
        np.testing.assert_array_equal(found[0, :, 0], np.rint(np.array([2, 2.5, 3]) / 3 * 255))
        assert ask(page, "value", v="x", at={}, row=0, column=1)["value"] == "nan"
        line = ask(page, "series", v="x", dim="lon", at={}, row=0, column=0)
        assert line["values"] == [0.5, None, 1.5]


def test_a_forecast():
    with client("examples/wind.grb") as page:
        path = "heightAboveGround/instant/u10"
        assert ask(page, "set")["subjects"][0]["path"] == path
        names = ask(page, "labels", v=path, dim="step", start=0)["labels"]
        assert names[:2] == ["6 h", "12 h"]
        told = dict(ask(page, "caption", v=path, at={"step": 1}))
        assert told["valid_time"] == "2026-03-01 12:00"
        opened = refmaker.open_dataset("examples/wind.grb", group="heightAboveGround/instant")
        found = ask(page, "series", v=path, dim="step", at={"step": 0}, row=6, column=8)
        np.testing.assert_allclose(found["values"], opened["u10"][:, 6, 8], rtol=1e-6)


@pytest.mark.parametrize("rising", [True, False])
def test_north_is_on_top_of_volumes_as_of_pictures(tmp_path, rising):
    north = np.linspace(10, 60, 20)[:: 1 if rising else -1]
    places = {
        "lat": ("lat", north, {"units": "degrees_north"}),
        "lon": ("lon", np.linspace(0, 30, 30), {"units": "degrees_east"}),
    }
    values = np.repeat(north[:, None], 30, 1).astype("f8")
    xr.Dataset({"x": (("lat", "lon"), values)}, places).to_netcdf(tmp_path / "a.nc")
    with client(tmp_path / "a.nc") as page:
        found = ask(page, "picture.png", v="x", low=10, high=60, colours="grey", at={})
        assert (found[0, :, 0] == 255).all()
        state, (url,) = volume(page, "x")
        assert (state["crossSectionOrientation"] == [1, 0, 0, 0]) is rising
        np.testing.assert_array_equal(whole(page, url), values.astype("f4"))


def test_of_long_lines_every_so_many_are_read(tmp_path):
    values = np.arange(9000.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(1000,))
    with client(tmp_path / "a.h5") as page:
        found = ask(page, "series", v="x", dim=ask(page, "variable", v="x")["columns"]["dim"])
        assert found["step"] == 5
        np.testing.assert_array_equal(found["values"], values[::5])
        rows = ask(page, "table", v="x", start=8900)
        assert rows["size"] == 9000
        assert rows["rows"] == [[f"{value:g}"] for value in values[8900:]]


def test_tables_have_texts_records_and_scalars(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["names"] = np.array(["a", "b", HOSTILE], h5py.string_dtype())
        file["records"] = np.array([(1, 2.5), (3, 4.5)], [("n", "i4"), ("v", "f8")])
        file["one"] = 42
    with client(tmp_path / "a.h5") as page:
        assert ask(page, "table", v="names")["rows"] == [["a"], ["b"], [HOSTILE]]
        found = ask(page, "table", v="records")
        assert (found["columns"], found["rows"]) == (["n", "v"], [["1", "2.5"], ["3", "4.5"]])
        assert ask(page, "table", v="one")["rows"] == [["42"]]


def test_kinds_of_cells_have_names(tmp_path):
    attributes = {"flag_values": np.array([1, 2], "i1"), "flag_meanings": "land open_water"}
    values = np.array([[1, 2], [2, 7]], "i1").repeat(10, 0).repeat(10, 1)
    xr.Dataset({"x": (("y", "x"), values, attributes)}).to_netcdf(tmp_path / "a.nc")
    with client(tmp_path / "a.nc") as page:
        kinds = ask(page, "variable", v="x")["kinds"]
        assert [kind[:2] for kind in kinds] == [[1.0, "land"], [2.0, "open water"]]
        found = ask(page, "picture.png", v="x", low=0, high=1, colours="kinds", at={})
        colours = [bytes.fromhex(kind[2][1:]) for kind in kinds]
        assert found[0, 0].tobytes() == colours[0] + b"\xff"
        assert found[0, -1].tobytes() == colours[1] + b"\xff"
        assert found[-1, -1, 3] == 0


def test_points_are_shown_near_where_they_are():
    rng = np.random.default_rng(0)
    north, east = rng.uniform(-60, 60, 4000), rng.uniform(0, 359, 4000)
    grid = PointGrid(north, east)
    picture = grid.picture(np.arange(4000))
    rows, columns = grid.size
    assert picture.shape == (rows, columns)
    (first, step), (left, apart) = grid.places(0), grid.places(1)
    known = picture[np.isfinite(picture)].astype(int)
    assert np.unique(known).size > 1500
    at = np.argwhere(np.isfinite(picture))
    # Of each point, its own cell shows one that is in it.
    off_rows = np.abs(north[known] - (first + step * at[:, 0])) / step
    assert (off_rows <= 0.5 + 1e-9).all()
    assert (np.abs(east[known] - (left + apart * at[:, 1])) / apart <= 2 * columns / 40).all()
    assert grid.nearest(*at[7]) == known[7]


def test_a_volume_of_ct_is_in_hounsfield_units():
    with client("examples/ct") as page:
        state, (url,) = volume(page, "image")
        assert state["layout"] == "4panel"
        assert state["displayDimensions"] == ["x", "y", "z"]
        x, z = state["dimensions"]["x"], state["dimensions"]["z"]
        opened = refmaker.open_dataset("examples/ct")["image"]
        np.testing.assert_array_equal(whole(page, url), opened)
        scale = page.get(f"{url}.zattrs").json()["multiscales"][0]["datasets"][0]
        (change, _) = scale["coordinateTransformations"]
        np.testing.assert_allclose(change["scale"], [z[0], x[0], x[0]])
        low, high = state["layers"][0]["shaderControls"]["normalized"]["range"]
        assert float(opened.min()) <= low < high <= float(opened.max())


@pytest.fixture
def pyramid(tmp_path):
    """Write two channels on two levels."""
    image = np.random.default_rng(3).integers(0, 4000, (2, 300, 400)).astype("u2")
    told = {"axes": "CYX", "Channel": {"Name": ["DAPI", HOSTILE]}}
    told |= {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    told |= {"PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(tmp_path / "p.ome.tif", ome=True) as file:
        file.write(image, subifds=1, metadata=told, tile=(128, 128), compression="zlib")
        file.write(image[:, ::2, ::2], subfiletype=1, tile=(128, 128), compression="zlib")
    return image, refmaker.scan(tmp_path / "p.ome.tif")


def test_a_pyramid_has_a_layer_for_each_channel(pyramid):
    image, refs = pyramid
    with client(refs) as page:
        (one,) = [one for one in ask(page, "set")["subjects"] if not one["beside"]]
        assert one["deep"]
        state, urls = volume(page, one["path"])
        assert [layer["name"].split(" ", 1)[1] for layer in state["layers"]] == ["DAPI", HOSTILE]
        assert state["layout"] == "xy"
        assert state["dimensions"] == {"x": [5e-07, "m"], "y": [2.5e-07, "m"]}
        for channel, url in enumerate(urls):
            np.testing.assert_array_equal(whole(page, url), image[channel])
            np.testing.assert_array_equal(whole(page, url, 1), image[channel, ::2, ::2])
            assert page.get(f"{url}2/.zarray").status_code == 404
            assert page.get(f"{url}0/9/9").status_code == 404


def test_pictures_are_drawn_from_the_level_that_suffices(pyramid):
    image, refs = pyramid
    contents = Contents(refs)
    (path,) = (path for path in contents.subjects if path not in contents.beside)
    scene = Scene(contents, path)
    channel = scene.sliders[0]
    np.testing.assert_array_equal(scene.values({channel: 1}), image[1])
    small = scene.values({channel: 1}, most=300)
    np.testing.assert_array_equal(small, image[1, ::2, ::2])
    part = scene.values({channel: 0}, (100, 180), (200, 400), most=150)
    np.testing.assert_array_equal(part, image[0, 100:180:2, 200:400:2])


def test_a_palette_has_its_colours(tmp_path):
    values = np.arange(40, dtype="u1").reshape(5, 8).repeat(4, 0).repeat(4, 1)
    table = np.random.default_rng(5).integers(0, 255, (3, 256)).astype("u2") * 257
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=table)
    with client(tmp_path / "a.tif") as page:
        assert ask(page, "variable", v="image")["rgb"]
        found = ask(page, "picture.png", v="image", low=0, high=1, at={})
        np.testing.assert_array_equal(found[..., :3], (table // 257).T[values])


def test_colours_side_by_side_are_one_layer(tmp_path):
    image = np.random.default_rng(4).integers(0, 255, (50, 60, 3)).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    with client(tmp_path / "a.tif") as page:
        state, (url,) = volume(page, "image")
        assert "rgb^" in state["layers"][0]["source"]["transform"]["outputDimensions"]
        np.testing.assert_array_equal(whole(page, url), image)
        about = ask(page, "variable", v="image")
        assert about["rgb"]
        found = ask(page, "picture.png", v="image", low=0, high=1, at={})
        np.testing.assert_array_equal(found[..., :3], image)


def test_what_is_wrong_with_one_array_is_told_by_name_and_reason(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("good", data=np.ones((20, 20)), chunks=(20, 20), compression="gzip")
        file.create_dataset("bad", data=np.ones((20, 20)), chunks=(20, 20), compression="gzip")
        place = file["bad"].id.get_chunk_info(0)
    with open(tmp_path / "a.h5", "r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    with client(tmp_path / "a.h5") as page:
        told = ask(page, "variable", 422, v="bad")["error"]
        assert "bad" in told
        assert "Traceback" not in told
        assert "\n" not in told
        assert ask(page, "value", v="good", at={}, row=0, column=0)["value"] == "1"


@pytest.mark.parametrize(
    ("question", "parameters"),
    [
        ("variable", {"v": "nowhere"}),
        ("variable", {}),
        ("picture.png", {"v": "air", "at": {"time": 124}, "low": 0, "high": 1}),
        ("picture.png", {"v": "air", "at": {"time": -1}, "low": 0, "high": 1}),
        ("picture.png", {"v": "air", "at": ["time"], "low": 0, "high": 1}),
        ("picture.png", {"v": "air", "at": {}, "low": "nan", "high": 1}),
        ("picture.png", {"v": "air", "at": {}, "low": 0, "high": 1, "colours": "no"}),
        ("picture.png", {"v": "air", "at": {}, "low": 0, "high": 1, "rows": "3:99999999"}),
        ("value", {"v": "air", "at": {}, "row": 11, "column": 0}),
        ("series", {"v": "air", "at": {}, "dim": "nowhere"}),
        ("labels", {"v": "air", "dim": "time", "start": -5}),
        ("table", {"v": "air"}),
        ("volume", {"v": "lat"}),
    ],
)
def test_questions_that_have_no_answer(page, question, parameters):
    assert ask(page, question, 422, **parameters)["error"]


def test_reading_is_bounded(tmp_path):
    # Five terabytes, none of which is there.
    table = ChunkTable.empty((1, 1))
    shape = (800_000, 800_000)
    refs = Group({"x": Array(shape, shape, np.dtype("f8"), table, dimension_names=("y", "x"))})
    with client(refs) as page:
        told = ask(page, "variable", 422, v="x")["error"]
        assert "chunk" in told


def test_of_pictures_too_large_the_middle_is_drawn(tmp_path):
    table = ChunkTable.empty((80, 80))
    shape, chunks = (80_000, 80_000), (1000, 1000)
    refs = Group({"x": Array(shape, chunks, np.dtype("f8"), table, 0, dimension_names=("y", "x"))})
    with client(refs) as page:
        rows, columns = ask(page, "variable", v="x")["part"]
        assert 0 < rows[0] < 40_000 < rows[1] < 80_000
        assert columns[1] - columns[0] <= 8_000
        ends = {"rows": f"{rows[0]}:{rows[1]}", "columns": f"{columns[0]}:{columns[1]}"}
        found = ask(page, "picture.png", v="x", low=0, high=1, at={}, **ends)
        assert max(found.shape[:2]) <= 1600
        ask(page, "picture.png", 422, v="x", low=0, high=1, at={})


def test_chunks_that_are_kept_are_bounded_and_not_read_again():
    class Counting:
        calls = 0

        def array(self, path):
            table = ChunkTable.empty((4,))
            return Array((400,), (100,), np.dtype("f8"), table)

        def read(self, path, region):
            self.calls += 1
            return np.arange(400.0)[region[0]]

        def as_meant(self, path, stored, region):
            return stored

    source = Counting()
    regions = Regions(source, kept_bytes=1600)
    for at in (5, 17, 99):
        assert regions.read("x", [at]) == at
    assert source.calls == 1
    np.testing.assert_array_equal(regions.read("x", [slice(90, 110, 5)]), [90, 95, 100, 105])
    assert regions.read("x", [250]) == 250
    assert regions.read("x", [5]) == 5
    assert sum(held.nbytes for held in regions._kept.values()) <= 1600
    assert source.calls == 4


def test_more_questions_than_can_wait_are_refused(page, monkeypatch):
    monkeypatch.setattr("refmaker.publish.viewer.questions._WAITING", 0)
    assert "too many" in ask(page, "set", 503)["error"]


def test_who_is_answered(page):
    assert page.get("/").status_code == 200
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert page.get("/api/set", headers={"Origin": "http://evil.example"}).status_code == 403
    assert page.get("/api/set", headers={"Origin": "null"}).status_code == 403
    assert page.get("/api/set", headers={"Origin": page.origin}).status_code == 200
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert page.get("/api/picture.png", headers=foreign).status_code == 403
    # A link is no question of the page that it stands on.
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert page.get("/", headers=linked).status_code == 200


@pytest.mark.parametrize("path", ["", "viewer.js", "viewer.css", "api/set", "neuroglancer/v/0/"])
def test_what_pages_may_do(page, path):
    answer = page.get(f"/{path}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
    assert "http" not in policy.partition("frame-ancestors")[0]
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "name", ["../__init__.py", "..%2f__init__.py", "%2e%2e/%2e%2e/server.py", "none.js", ".js"]
)
def test_other_files_are_not_given_away(page, name):
    assert page.get(f"/neuroglancer/v/0/{name}").status_code == 404


def test_nobody_sees_the_page_who_does_not_know_its_url():
    known = {"token": "known"}
    with client(AIR, **known) as page:
        assert page.get("/known/api/set").status_code == 200
        assert page.get("/api/set").status_code == 404
        assert page.get("/knowns/api/set").status_code == 404
    with refmaker.view(AIR) as one, refmaker.view(AIR) as other:
        assert len(one.url.split("/")[3]) >= 16
        assert one.url.split("/")[3] != other.url.split("/")[3]


def test_a_set_from_afar_shows_no_local_file(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret!!")
    place = {"offset": np.array([0]), "length": np.array([8])}
    table = ChunkTable.from_columns((1,), (str(tmp_path / "secret"),), **place)
    refs = ReferenceSet(Group({"x": Array((8,), (8,), np.dtype("u1"), table)}))
    refs.write("memory://viewed.json")
    with pytest.raises(PolicyError):
        refmaker.view("memory://viewed.json")


def test_hostile_names_are_values_of_json_alone(tmp_path):
    values = xr.Variable(("y", "x"), np.ones((20, 20)), {"long_name": HOSTILE, "units": HOSTILE})
    xr.Dataset({"v": values}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with client(tmp_path / "a.nc") as page:
        answer = page.get("/api/set")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["subjects"][0]["title"] == HOSTILE
        assert HOSTILE not in page.get("/").text
        script = page.get("/viewer.js").text
        for markup in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert markup not in script


def test_the_page_is_small():
    with client(AIR) as page:
        sizes = [len(page.get(f"/{name}").content) for name in ("", "viewer.js", "viewer.css")]
    assert sum(sizes) < 60_000


def test_no_package_of_the_report_is_needed():
    program = f"""
import sys
for name in ("matplotlib", "PIL", "jinja2", "dask"):
    sys.modules[name] = None
from urllib.request import urlopen
import refmaker
with refmaker.view("{AIR}") as page:
    for asked in ("variable?v=air", "picture.png?v=air&low=0&high=1", "volume?v=air"):
        assert urlopen(page.url + "api/" + asked).status == 200
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_view_in_a_notebook():
    with refmaker.view(AIR, variable="air") as page:
        assert page.url.endswith("/#air")
        assert f'src="{page.url}"' in page._repr_html_()
        assert page.url in repr(page)


def test_what_is_shown_first():
    with refmaker.view("examples/wind.grb", variable="v10") as page:
        assert page.url.endswith("/#heightAboveGround%2Finstant%2Fv10")
    with pytest.raises(UnsupportedError, match="heightAboveGround/instant/v10"):
        refmaker.view("examples/wind.grb", variable="heightAboveGround/v10")


def test_a_port_that_is_taken():
    with refmaker.view(AIR) as page, pytest.raises(SourceError, match="port="):
        refmaker.view(AIR, port=int(page.url.split(":")[2].split("/")[0]))


def test_without_neuroglancer_there_are_no_volumes(page, monkeypatch):
    monkeypatch.setattr("refmaker.publish.viewer.questions.has_neuroglancer", lambda: False)
    assert not ask(page, "set")["volumes"]
    assert "refmaker[view]" in ask(page, "volume", 422, v="air")["error"]


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingDependencyError, match=r"refmaker\[view\]"):
        refmaker.view(AIR)
    ran = CliRunner().invoke(main, ["view", AIR, "--no-browser"])
    assert ran.exit_code == 1
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "pip install" in ran.stderr


def test_command_opens_as_it_is_told(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "refmaker.publish.viewer.view_until_interrupted", lambda *_, **given: seen.update(given)
    )
    words = ["--allow", "s3", "--allow-codec", "other.codec", "--verify-sources", "full"]
    assert CliRunner().invoke(main, ["view", AIR, *words]).exit_code == 0
    assert seen["allow"] == ("s3",)
    assert seen["codecs"] == ("other.codec",)
    assert seen["verify_sources"] == "full"


def test_command():
    command = [sys.executable, "-m", "refmaker", "view", AIR, "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{16}/", process.stderr.readline())[0]
        parts = urlsplit(url)
        assert Client(url).get(f"{parts.path}api/set").json()["name"] == "air.nc"
        # Neuroglancer's client holds a request open.
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.request("GET", f"{parts.path}neuroglancer/events/0")
        assert connection.getresponse().readline().startswith(b":")
        process.send_signal(signal.SIGINT)
        process.wait(30)
        connection.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_browser_is_opened(tmp_path):
    # `webbrowser` runs what BROWSER names.
    script = tmp_path / "browser"
    script.write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/opened.tmp\n'
        f"mv {tmp_path}/opened.tmp {tmp_path}/opened\n"
    )
    script.chmod(0o755)
    command = [sys.executable, "-m", "refmaker", "view", AIR]
    env = {**os.environ, "BROWSER": f"{script} %s"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        for _ in range(600):
            if (tmp_path / "opened").exists():
                break
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert (tmp_path / "opened").read_text().strip() == url
