"""Each archive that the documentation shows becomes what xarray makes of it, by one command."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from tests.combine import archives
from tests.combine.files import words_of

PAGE = Path(__file__).parents[2] / "docs" / "tasks" / "archives.md"
_FENCE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(title):
    """Yield the arguments of the commands below a title, as a shell hands them over."""
    section = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    for block in _FENCE.findall(section[1]):
        for line in block.replace("\\\n", " ").splitlines():
            assert line.startswith("$ refmaker ")
            yield list(words_of(line.removeprefix("$ refmaker ")))


def run(title, monkeypatch, folder):
    """Run the commands below a title in a folder, and return the cubes that they write."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REFMAKER_CACHE_DIR", str(folder / ".cache"))
    monkeypatch.setenv("REFMAKER_SCAN_ISOLATE", "never")
    cubes = []
    for words in shown(title):
        done = CliRunner().invoke(main, [*words, "--overwrite"])
        assert done.exit_code == 0, done.output
        out = words[words.index("-o") + 1]
        if not out.endswith("/"):
            cubes.append(refmaker.open_dataset(out).load())
    return cubes


def check(found, expected, names=None):
    for name in names or expected.variables:
        wanted = expected[name]
        assert set(found[name].dims) == set(wanted.dims), name
        values = found[name].transpose(*wanted.dims).values
        if wanted.dtype.kind == "f":
            # What the generator packed lies within half a step of what it held.
            np.testing.assert_allclose(values, wanted.values, rtol=1e-6, atol=0.0051, err_msg=name)
        else:
            np.testing.assert_array_equal(values, wanted.values, err_msg=name)


def as_read(folder, pattern, *, squeeze=(), **indexers):
    """Return one file's data as xarray reads them, which is exact."""
    (path,) = sorted(folder.rglob(pattern))[:1]
    with xr.open_dataset(path) as data:
        return data.load().squeeze(squeeze).assign_coords(indexers)


def test_water_model(tmp_path, monkeypatch):
    expected = archives.water_model(tmp_path)
    (found,) = run("Hourly files of a water model", monkeypatch, tmp_path)
    check(found, expected)
    assert found["crs"].dims == ()
    first = as_read(tmp_path, "*.comp", squeeze=("time", "reference_time"))
    np.testing.assert_array_equal(found["streamflow"][0], first["streamflow"])


def test_forecasts(tmp_path, monkeypatch):
    expected = archives.forecasts(tmp_path)
    (found,) = run("Forecasts: runs and hours ahead", monkeypatch, tmp_path)
    check(found, expected)
    assert found["streamflow"].dims == ("reference_time", "step", "feature_id")
    first = as_read(tmp_path, "*.nc", squeeze=("time", "reference_time"))
    np.testing.assert_array_equal(found["streamflow"][0, 0], first["streamflow"])


def test_satellite(tmp_path, monkeypatch):
    bands = archives.satellite(tmp_path)
    one, two = run("Images of a geostationary satellite", monkeypatch, tmp_path)
    paths = sorted(tmp_path.glob("OR_*.nc"))
    data = [xr.open_dataset(path).load() for path in paths]
    varied = ["CMI", "DQF", "time_bounds", "min_temperature"]
    expected = xr.concat([d.set_coords("t")[varied] for d in data[3:]], "t")
    for name in (*varied, "t"):
        np.testing.assert_array_equal(one[name], expected[name])
    assert one["CMI"].dims == ("t", "y", "x")
    assert one["esun"].dims == ("t",)  # data without dimensions get a new one, as xarray gives it
    assert one["projection"].dims == ()
    assert two["CMI"].sizes == {"band": 2, "t": 3, "y": 40, "x": 50}
    for b in range(2):
        for k in range(3):
            here = two.isel(band=b, t=k)
            for name in ("CMI", "DQF", "min_temperature", "time_bounds"):
                np.testing.assert_array_equal(here[name], data[3 * b + k][name])
            np.testing.assert_allclose(here["CMI"], bands[b][k]["CMI"], atol=0.0051)
    np.testing.assert_array_equal(two["band"], [7, 13])
    np.testing.assert_array_equal(two["band_wavelength"], [[3.5, 6.5]] * 3)


def test_weather_model(tmp_path, monkeypatch):
    expected = archives.weather_model(tmp_path)
    (found,) = run("Output of WRF", monkeypatch, tmp_path)
    check(found, expected, ["T2", "U", "PHB", "XLAT"])
    np.testing.assert_array_equal(
        found["Time"], np.datetime64("2024-01-01") + np.arange(6) * np.timedelta64(1, "h")
    )


def test_ocean_model(tmp_path, monkeypatch):
    expected = archives.ocean_model(tmp_path)
    (found,) = run("Output of ROMS", monkeypatch, tmp_path)
    check(found, expected)


def test_tiles(tmp_path, monkeypatch):
    expected = archives.tiles(tmp_path)
    (found,) = run("Tiles by months", monkeypatch, tmp_path)
    check(found, expected)


def test_scenes(tmp_path, monkeypatch):
    expected = archives.scenes(tmp_path)
    (found,) = run("Scenes of GeoTIFFs by date and band", monkeypatch, tmp_path)
    check(found, expected, ["image", "time"])
    assert found["band"].values.tolist() == ["B04", "B08"]


def test_years(tmp_path, monkeypatch):
    expected = archives.years(tmp_path)
    cubes = run("A folder for each year, with files of the same name", monkeypatch, tmp_path)
    assert len(cubes) == 2
    for found in cubes:
        check(found, expected)
    assert (tmp_path / "refs" / "2019" / "landcover.refs.json").exists()


def test_every_archive_is_shown():
    assert len(re.findall(r"^## ", PAGE.read_text(), re.MULTILINE)) == len(archives.ARCHIVES)
