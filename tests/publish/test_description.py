"""What a description says, compared with what the formats' own tools say."""

from __future__ import annotations

import json
import sys

import cftime
import netCDF4
import numpy as np
import pyproj
import pytest
import rasterio
import tifffile
import xarray as xr
from rasterio.transform import Affine

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.inline import inline_array
from refmaker.model.wkt import named
from refmaker.publish.pictures.subjects import subjects
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from tests.scanners.dicom.image_files import CT, pixels, save_all, slice_of, with_pixels
from tests.scanners.grib.messages import joined, message


def told(path, **options):
    """Return the description of a file, which is that of the set that a scan of it writes."""
    refs = refmaker.scan(path)
    found = refmaker.describe(refs, "x", **options)
    json.dumps(found, allow_nan=False)
    out = path.with_name(f"{path.name}.refs.json")
    refs.write(out)
    again = refmaker.describe(refmaker.read(out), "x", **options)
    differing = {key for key in found if found[key] != again[key]}
    assert differing <= {"duplicated", "warnings", "skipped", "readers"}
    return found


def by_path(entries):
    return {entry["path"]: entry for entry in entries}


@pytest.fixture
def climate(tmp_path):
    """Write a file as netCDF4 writes it: packed, unlimited, times too long to be in the set."""
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("level", 3), ("lat", 4), ("lon", 5)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.calendar = "hours since 2000-02-28", "noleap"
        time[:] = np.arange(400) * 6
        for name, values, units in (
            ("level", [1000, 850, 500], "hPa"),
            ("lat", [60, 50, 40, 30], "degrees_north"),
            ("lon", np.arange(5) * 0.1, "degrees_east"),
        ):
            file.createVariable(name, "f4", (name,)).units = units
            file[name][:] = values
        t = file.createVariable("t", "i2", ("time", "level", "lat", "lon"), fill_value=-32767)
        t.scale_factor, t.add_offset, t.units, t.long_name = 0.5, 273.25, "K", "temperature"
        t.valid_range = np.array([0, 100], "i2")
        t.set_auto_scale(False)
        t[:] = 1
        flags = file.createVariable("flags", "i1", ("lat", "lon"), fill_value=False)
        flags.setncattr("_Unsigned", "true")
        flags[:] = 1
    return path


def test_what_ncdump_tells(climate):
    found = told(climate)
    with netCDF4.Dataset(climate) as file:
        sizes = {(one["name"], one["size"], one["unlimited"]) for one in found["dimensions"]}
        assert sizes == {
            (name, dim.size, dim.isunlimited()) for name, dim in file.dimensions.items()
        }
        arrays = by_path(found["arrays"])
        assert arrays.keys() == file.variables.keys()
        for name, variable in file.variables.items():
            entry = arrays[name]
            assert entry["dimensions"] == list(variable.dimensions)
            assert np.dtype(entry["dtype"]) == variable.dtype
            for key in ("units", "scale_factor", "add_offset", "long_name"):
                assert entry[key] == getattr(variable, key, None)
        times = cftime.num2date(file["time"][:], file["time"].units, "noleap")
    assert arrays["t"]["missing_value"] == [-32767]
    assert (arrays["t"]["valid_min"], arrays["t"]["valid_max"]) == (0, 100)
    assert [name for name, entry in arrays.items() if entry["unsigned"]] == ["flags"]
    spans = by_path(found["spans"])
    # Read from the file: 400 times are more than are kept in a set.
    assert (spans["time"]["first"], spans["time"]["last"], spans["time"]["calendar"]) == (
        times[0].isoformat(), times[-1].isoformat(), "noleap",
    )  # fmt: skip
    assert (spans["time"]["step"], spans["time"]["step_units"]) == (6.0, "hours")
    assert (spans["level"]["role"], spans["level"]["values"]) == ("vertical", [1000, 850, 500])
    assert spans["level"]["step"] is None
    assert (spans["lat"]["min"], spans["lat"]["max"], spans["lat"]["step"]) == (30, 60, -10)
    # Single precision: the number of the fewest digits that means it.
    assert spans["lon"]["values"] == [0.0, 0.1, 0.2, 0.3, 0.4]
    (place,) = found["places"]
    assert place["crs"] is None
    assert (place["latitude"], place["longitude"]) == ([30, 60], [0, 0.4])
    assert set(place["arrays"]) == {"t", "flags"}
    (target,) = found["targets"]
    assert target["size"] == climate.stat().st_size
    assert found["messages"] is None


def test_coordinates_are_read_where_that_is_wished(climate, tmp_path):
    from refmaker.testing.http import RangeServer

    assert refmaker.describe(refmaker.scan(climate), coordinates="no")["unread"] == [
        {"path": "time", "why": "its values are in files"}
    ]
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan(server.url("a.nc"))
        before = server.requests
        found = refmaker.describe(refs)
        assert found["unread"] == [{"path": "time", "why": "its values are in remote files"}]
        assert server.requests == before
        assert "time" in by_path(refmaker.describe(refs, coordinates="all")["spans"])
        assert server.requests > before
    refs = refmaker.scan(climate)
    climate.unlink()
    # What is not known is not told.
    found = refmaker.describe(refs)
    assert by_path(found["spans"]).keys() == {"level", "lat", "lon"}
    (unread,) = found["unread"]
    assert unread["path"] == "time"
    assert "a.nc" in unread["why"]
    with pytest.raises(ValueError, match="not one of no, local, all"):
        refmaker.describe(refs, coordinates="some")


@pytest.mark.parametrize("code", [4326, 32633, 3857, 3035, 27700, 2154, 5556])
@pytest.mark.parametrize("version", ["WKT2_2019", "WKT2_2015", "WKT1_GDAL"])
def test_names_and_codes_are_those_of_proj(code, version):
    system = pyproj.CRS(f"EPSG:{code}")
    assert named(system.to_wkt(version)) == (system.name, f"EPSG:{code}")


def test_a_bound_system_and_texts_that_are_none():
    bound = pyproj.CRS("+proj=utm +zone=33 +ellps=bessel +towgs84=1,2,3 +type=crs")
    assert bound.to_wkt().startswith("BOUNDCRS")
    # The codes in it are those of its parts.
    assert named(bound.to_wkt()) == ("unknown", "")
    assert named('PROJCS["a ""b""",GEOGCS["x",AUTHORITY["EPSG","1"]]]') == ('a "b"', "")
    for text in ("", "EPSG:4326", "]]]", "PROJCS[", '"'):
        assert named(text).code == ""


TURNED = Affine.translation(100, 300) @ Affine.rotation(30) @ Affine.scale(10, -20)


@pytest.mark.parametrize(
    "transform",
    [Affine(10, 0, 500_000, 0, -20, 5_000_000), Affine(10, 0, 7, 0, 20, 9), TURNED],
    ids=["north up", "south up", "rotated"],
)
def test_what_gdalinfo_tells(tmp_path, transform):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform) as file:
        file.write(np.ones((1, 20, 30), "u1"))
    (place,) = told(path)["places"]
    with rasterio.open(path) as file:
        xs, ys = zip(*(file.transform @ (x, y) for x in (0, 30) for y in (0, 20)), strict=True)
        assert place["bounds"] == pytest.approx([min(xs), min(ys), max(xs), max(ys)])
        assert place["geotransform"] == pytest.approx(file.transform.to_gdal())
        assert place["size"] == [file.width, file.height]
        if file.transform.is_rectilinear:
            assert place["resolution"] == pytest.approx([file.transform.a, file.transform.e])
        else:
            assert place["resolution"] is None
    assert place["bounds_of"] == "edges"
    assert (place["crs"]["name"], place["crs"]["code"]) == ("WGS 84 / UTM zone 33N", "EPSG:32633")


def test_a_transform_of_another_raster_is_not_believed(tmp_path):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 1, "dtype": "uint8"}
    for name, transform in (("a.tif", Affine(10, 0, 0, 0, -20, 0)), ("b.tif", TURNED)):
        with rasterio.open(
            tmp_path / name, "w", **profile, crs="EPSG:32633", transform=transform
        ) as file:
            file.write(np.ones((1, 20, 30), "u1"))
    options = ScanOptions(chunk_bytes=30)
    part = refmaker.scan(path, options=options).isel({"y": slice(4, 8)})
    (place,) = refmaker.describe(part)["places"]
    assert place["geotransform"] is None
    assert (place["bounds"], place["bounds_of"]) == ([5, -150, 295, -90], "centres")
    # A rotated raster has no coordinates that would tell: nothing is.
    part = refmaker.scan(tmp_path / "b.tif", options=options).isel({"y": slice(4, 8)})
    (place,) = refmaker.describe(part)["places"]
    assert place["bounds"] is None
    assert place["crs"]["code"] == "EPSG:32633"


def test_levels_of_pyramids(tmp_path):
    image = np.arange(64 * 96, dtype="u2").reshape(64, 96)
    pixel = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    pixel |= {"PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(image, subifds=1, tile=(32, 32), metadata=pixel)
        file.write(image[::2, ::2], subfiletype=1, tile=(32, 32))
    (found,) = told(tmp_path / "a.ome.tif")["images"]
    assert [level["shape"] for level in found["levels"]] == [[64, 96], [32, 48]]
    assert [level["scale"] for level in found["levels"]] == [[0.5, 0.25], [1.0, 0.5]]
    assert [(axis["name"], axis["unit"]) for axis in found["axes"]] == [
        ("y", "micrometer"), ("x", "micrometer"),
    ]  # fmt: skip
    # Without NGFF metadata, as in a COG.
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    size = {"width": 96, "height": 64, "count": 1, "dtype": "uint16"}
    with rasterio.open(tmp_path / "b.tif", "w", driver="GTiff", **size, **place) as file:
        file.write(image[None])
        file.build_overviews([2])
    (found,) = told(tmp_path / "b.tif")["images"]
    assert [level["path"] for level in found["levels"]] == ["0/image", "1/image"]
    assert [level["shape"] for level in found["levels"]] == [[64, 96], [32, 48]]
    assert [level["scale"] for level in found["levels"]] == [None, None]


@pytest.mark.parametrize(
    "attributes",
    [
        {"multiscales": "text"}, {"multiscales": [7, {"datasets": 7}]},
        {"multiscales": [{"datasets": [7, {"path": 7}, {"path": "gone"}]}]},
        {"ome": [1]}, {"multiscales": [{"datasets": [{"path": "a"}], "axes": 7}], "omero": 7},
        {"multiscales": [{"datasets": [{"path": "a", "coordinateTransformations": [7, {
            "type": "scale", "scale": "x"}]}], "coordinateSystems": [7]}]},
    ],
)  # fmt: skip
def test_attributes_of_any_form_break_nothing(attributes):
    chunks = ChunkTable.inline((1,), {0: bytes(4)})
    array = Array((4,), (4,), np.dtype("u1"), chunks, attributes={
        "affine_ras": "x", "grid_mapping": 7, "coordinates": [1], "units": 3, "scale_factor": "a",
        "valid_range": ["a"], "missing_value": ["x", [1]], "_FillValue": "what",
    })  # fmt: skip
    found = refmaker.describe(ReferenceSet(Group({"a": array}, attributes)))
    json.dumps(found, allow_nan=False)
    assert found["volumes"] == found["places"] == []


def test_voxels(tmp_path):
    frames = [with_pixels(slice_of((0, 0, 2.5 * n), n, sop_class=CT), pixels(n)) for n in range(3)]
    (tmp_path / "ct").mkdir()
    save_all(tmp_path / "ct", frames)
    (found,) = refmaker.describe(refmaker.scan(tmp_path / "ct"))["volumes"]
    assert found["towards"] == ["superior", "posterior", "left"]
    assert (found["unit"], found["oblique"], found["even"]) == ("mm", False, True)
    assert found["spacing"][0] == 2.5


def test_orientation_is_that_of_nibabel(tmp_path):
    import nibabel

    letters = {"R": "right", "L": "left", "A": "anterior", "P": "posterior"}
    letters |= {"S": "superior", "I": "inferior"}
    rng = np.random.default_rng(1)
    for number in range(6):
        turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        affine = np.eye(4)
        affine[:3, :3] = turned * [1.5, 2, 2.5]
        affine[:3, 3] = [5, 6, 7]
        image = nibabel.Nifti1Image(np.zeros((4, 5, 6), "i2"), affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, tmp_path / f"{number}.nii")
        (found,) = told(tmp_path / f"{number}.nii")["volumes"]
        codes = nibabel.aff2axcodes(nibabel.load(tmp_path / f"{number}.nii").affine)
        if len(set(abs(turned).argmax(axis=0).tolist())) < 3:
            assert found["towards"] is None
            continue
        assert found["towards"] == [letters[code] for code in codes[::-1]]
        assert found["oblique"] is True
        assert found["spacing"] == pytest.approx([2.5, 2, 1.5], rel=1e-6)


def test_grib(tmp_path):
    path = tmp_path / "a.grib2"
    fields = [message(typeOfLevel="isobaricInhPa", level=level) for level in (1000, 850, 500)]
    path.write_bytes(joined(*fields, fields[0]))
    found = told(path)
    levels = [span for span in found["spans"] if span["role"] == "vertical"]
    # What is there twice stands in a group of its own.
    assert [span["values"] for span in levels] == [[1000, 850, 500], [1000]]
    assert levels[0]["units"] == "hPa"
    assert found["messages"]["found"] == 4
    assert found["messages"]["duplicates"] == 1
    roles = {span["role"] for span in found["spans"]}
    assert {"time", "reference time", "latitude", "longitude"} <= roles
    (codec,) = [codec for codec in found["codecs"] if codec["id"] == "refmaker.grib"]
    assert "imagecodecs" in codec["packages"]
    assert codec["missing"] == []
    (place,) = found["places"]
    with xr.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""}) as data:
        assert place["latitude"] == [data.latitude.min(), data.latitude.max()]


def coordinate(values, **attributes):
    array = inline_array(np.asarray(values), ("x",) * np.ndim(values), attributes)
    return refmaker.describe(ReferenceSet(Group({"x": array})))["spans"]


@pytest.mark.parametrize(
    ("values", "attributes"),
    [
        ([1.0, np.nan, 3.0], {}),
        ([1.0, np.inf, 3.0], {}),
        ([1, -9, 3], {"_FillValue": -9}),
        ([1, -9, 3], {"missing_value": [-8, -9]}),
        ([1, 200, 3], {"valid_max": 100}),
        ([1, -5, 3], {"valid_range": [0, 10]}),
        (np.array([1, -2, 3], "i1"), {"_Unsigned": "true", "_FillValue": -2}),
        (np.array([1, -2, 3], "i1"), {"_Unsigned": "true", "valid_max": -3}),
        ([1, 2, 3], {"scale_factor": "2"}),
        ([1, 2, 3], {"scale_factor": 1e308, "add_offset": 1e308}),
    ],
)
def test_nothing_is_said_of_coordinates_that_are_not_whole(values, attributes):
    assert coordinate(values, **attributes) == []


@pytest.mark.parametrize(
    ("values", "attributes", "ends"),
    [
        ([3, 1, 2], {}, (3, 2, 1, 3)),
        ([0, 1, 2], {"_FillValue": -9}, (0, 2, 0, 2)),
        (np.array([250, 255], "u1"), {"scale_factor": 2, "add_offset": -1}, (499, 509, 499, 509)),
        (np.array([0.1, 0.3], ">f4"), {}, (0.1, 0.3, 0.1, 0.3)),
        (np.array([0.1, 0.3], ">f4"), {"valid_range": [0.1, 0.3]}, (0.1, 0.3, 0.1, 0.3)),
        (np.array([1, -2], "i1"), {"_Unsigned": "true"}, (1, 254, 1, 254)),
        (np.array([1, -2], ">i2"), {"_Unsigned": "true", "scale_factor": 2}, (2, 131068) * 2),
        (np.array([1, 255], "u1"), {"_Unsigned": "false"}, (1, -1, -1, 1)),
        (np.array([b"a", b"\xff"]), {}, ("a", "\ufffd", None, None)),
    ],
)
def test_ends(values, attributes, ends):
    (span,) = coordinate(values, **attributes)
    assert (span["first"], span["last"], span["min"], span["max"]) == ends


def test_times_of_other_calendars_name_what_they_need(monkeypatch):
    told = {"units": "days since 2000-02-28", "calendar": "noleap"}
    (span,) = coordinate([0, 1, 2], **told)
    assert (span["first"], span["last"], span["note"]) == (
        "2000-02-28T00:00:00", "2000-03-02T00:00:00", None,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "cftime", None)
    (span,) = coordinate([0, 1, 2], **told)
    assert (span["first"], span["last"], span["units"]) == (0, 2, "days since 2000-02-28")
    assert "noleap" in span["note"]
    assert "pip install cftime" in span["note"]
    (span,) = coordinate([0, 1, 2], units="days since 2000-02-28")
    assert (span["last"], span["note"]) == ("2000-03-01T00:00:00", None)
    (span,) = coordinate([0, 1, 2], units="m")
    assert span["note"] is None


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1, 2, 3], 1.0),
        ([1, 2, 4], None),
        ([2, 2, 2], None),
        ([5], None),
        (np.linspace(0, 1, 11).astype("f4"), 0.1),
        (np.arange(5) * -0.25, -0.25),
    ],
)
def test_steps(values, step):
    (span,) = coordinate(values)
    assert span["step"] == (step if step is None else pytest.approx(step, rel=1e-7))


def test_no_codec_is_run_that_may_do_more_than_decode(tmp_path):
    chunks = ChunkTable.inline((1,), {0: b"anything"})
    filters = ({"id": "refmaker.hdf5_masked", "filters": [{"id": "pickle"}]},)
    for chain in (({"id": "pickle"},), filters):
        array = Array((3,), (3,), np.dtype("f8"), chunks, filters=chain, dimension_names=("x",))
        found = refmaker.describe(ReferenceSet(Group({"x": array})))
        assert found["spans"] == []
        assert found["unread"] == [
            {"path": "x", "why": "the codec 'pickle' is not known to be safe"}
        ]


@pytest.mark.parametrize(
    "system",
    [
        {"crs_wkt": pyproj.CRS("EPSG:32633+5773").to_wkt()},
        {"grid_mapping_name": "polar_stereographic", "standard_parallel": 60.0},
        {"epsg_code": "EPSG:3035", "projected_crs_name": "LAEA"},
    ],
)
def test_the_page_calls_reference_systems_alike(system):
    group = Group(
        {
            "v": inline_array(
                np.zeros((3, 4)), ("northing", "easting"), {"grid_mapping": "crs: x y"}
            ),
            "crs": inline_array(np.zeros((), "i4"), (), system),
        }
    )
    (place,) = refmaker.describe(ReferenceSet(group))["places"]
    (subject,) = [one for one in subjects(group) if one.path == "v"]
    assert place["crs"]["label"] == subject.crs
    assert place["crs"]["projected"] == subject.projected
    assert place["size"] == [4, 3]
