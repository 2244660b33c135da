"""What a set holds that can be shown, what is read of it, and how it is drawn."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.transform import from_origin

import refmaker
from refmaker.errors import LimitError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.grid_mapping import reference_system
from refmaker.publish.pictures import (
    Budget,
    Cost,
    Source,
    default_places,
    look_at,
    png,
    subjects,
    svg,
)
from refmaker.publish.pictures.budget import cost_of
from refmaker.publish.pictures.places import degrees, frame_of
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.http import RangeServer


def inline(values, names, chunks=None, **more):
    """Return an array whose values are in the set itself."""
    grid = (1,) * values.ndim
    table = ChunkTable.inline(grid, {0: values.tobytes()})
    shape = values.shape
    return Array(shape, shape, values.dtype, table, dimension_names=names, **more)


def stored(path, values, chunk_shape, names, **more):
    """Return an array whose chunks lie in a file, in C order of the grid."""
    grid = tuple(n // c for n, c in zip(values.shape, chunk_shape, strict=True))
    cut = [
        values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunk_shape, strict=True))]
        for at in np.ndindex(grid)
    ]
    path.write_bytes(b"".join(np.ascontiguousarray(chunk).tobytes() for chunk in cut))
    size = cut[0].nbytes
    table = ChunkTable.from_columns(
        grid,
        (str(path),),
        offset=np.arange(len(cut)) * size,
        length=np.full(len(cut), size),
    )
    return Array(values.shape, chunk_shape, values.dtype, table, dimension_names=names, **more)


LATITUDES = {"standard_name": "latitude", "units": "degrees_north"}
LONGITUDES = {"standard_name": "longitude", "units": "degrees_east"}


@pytest.fixture
def climate(tmp_path):
    """Return temperatures over time, latitude and longitude, a day a chunk, packed."""
    packed = np.arange(10 * 20 * 40, dtype="i2").reshape(10, 20, 40)
    packed[5, 3, 4] = -999
    known = {
        "units": "K", "long_name": "Air temperature",
        "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -999,
    }  # fmt: skip
    members = {
        "t": stored(tmp_path / "t", packed, (1, 20, 40), ("time", "lat", "lon"), attributes=known),
        "time": inline(np.arange(10.0), ("time",), attributes={"units": "days since 2020-02-27"}),
        "lat": inline(np.linspace(76, 0, 20), ("lat",), attributes=LATITUDES),
        "lon": inline(np.linspace(182, 299, 40), ("lon",), attributes=LONGITUDES),
        "lat_bnds": inline(np.zeros((20, 2)), ("lat", "nv")),
    }
    members["lat"] = inline(
        np.linspace(76, 0, 20), ("lat",), attributes={**LATITUDES, "bounds": "lat_bnds"}
    )
    return ReferenceSet(Group(members)), packed


def test_a_map(climate):
    refs, packed = climate
    (subject,) = subjects(refs)
    assert (subject.kind, subject.path, subject.title) == ("map", "t", "Air temperature")
    assert (subject.units, subject.free) == ("K", {"time": 10})
    source = Source(refs)
    assert default_places(subject, source) == {"time": 5}
    look = look_at(subject, source)
    assert look.places == (("time", "2020-03-03 00:00"),)
    wanted = packed[5] * 0.5 + 1
    wanted[3, 4] = np.nan
    np.testing.assert_array_equal(look.values, wanted)
    assert look_at(subject, source, {"time": 2}).values[0, 0] == packed[2, 0, 0] * 0.5 + 1
    with pytest.raises(IndexError, match="place 10 along time"):
        look_at(subject, source, {"time": 10})


def test_a_map_has_its_edges(climate):
    refs, _ = climate
    (subject,) = subjects(refs)
    source = Source(refs)
    frame = frame_of(look_at(subject, source), source)
    assert frame.horizontal.edges == (180.5, 300.5)
    assert frame.vertical.edges == (78, -2)
    assert frame.upward
    # A degree of longitude is shorter than one of latitude.
    assert frame.aspect == pytest.approx(1 / np.cos(np.radians(38)))
    assert frame.horizontal.text(250.0) == "110°W"


def test_degrees_have_sides():
    assert [degrees(place, "x") for place in (0, 180, 190, -30, 30)] == [
        "0°", "180°", "170°W", "30°W", "30°E",
    ]  # fmt: skip
    assert [degrees(place, "y") for place in (0, -7.5, 45)] == ["0°", "7.5°S", "45°N"]
    assert degrees(12.0) == "12°"


def test_uneven_latitudes_are_drawn_at_their_places(tmp_path):
    places = np.array([0.0, 1, 2, 10])
    values = np.arange(8.0).reshape(4, 2)
    members = {
        "v": inline(values, ("lat", "lon")),
        "lat": inline(places, ("lat",), attributes=LATITUDES),
        "lon": inline(np.array([0.0, 1]), ("lon",), attributes=LONGITUDES),
    }
    (subject,) = subjects(Group(members))
    source = Source(Group(members))
    frame = frame_of(look_at(subject, source), source)
    # Even places are 0, 3.3, 6.7 and 10; the nearest rows are those at 0, 2, 10 and 10.
    assert frame.vertical.at.tolist() == [0, 2, 3, 3]


def test_a_pyramid_is_one_subject_read_at_a_level(tmp_path):
    image = np.arange(256 * 256, dtype="u2").reshape(256, 256)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as file:
        known = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
        file.write(image, subifds=2, tile=(64, 64), metadata=known)
        file.write(image[::2, ::2], subfiletype=1, tile=(64, 64))
        file.write(image[::4, ::4], subfiletype=1, tile=(64, 64))
    refs = refmaker.scan(tmp_path / "p.ome.tif")
    (subject,) = subjects(refs)
    assert (subject.kind, len(subject.levels)) == ("pyramid", 3)
    look = look_at(subject, Source(refs), pixels=100)
    assert look.path == subject.levels[1]
    np.testing.assert_array_equal(look.values, image[::2, ::2])


def geotiff(path, size, crs="EPSG:32633"):
    kind = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "uint8"}
    place = {"crs": crs, "transform": from_origin(500_000, 5e6, 40_960 / size, 40_960 / size)}
    values = (np.add.outer(np.arange(size), np.arange(size)) % 251).astype("u1")
    with rasterio.open(
        path, "w", **kind, **place, tiled=True, blockxsize=64, blockysize=64
    ) as file:
        file.write(values[None])
        file.build_overviews([2, 4])
    return values


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_levels_of_a_raster_are_one_map_with_its_system(tmp_path):
    geotiff(tmp_path / "g.tif", 256)
    refs = refmaker.scan(tmp_path / "g.tif")
    (subject,) = subjects(refs)
    assert len(subject.levels) == 3
    assert subject.crs == "WGS 84 / UTM zone 33N (EPSG:32633)"
    assert subject.projected
    source = Source(refs)
    look = look_at(subject, source, pixels=128)
    assert look.values.shape == (128, 128)
    frame = frame_of(look, source)
    # All levels lie in the same place.
    assert frame.horizontal.edges == (500_000, 540_960)
    assert frame.vertical.edges == (5e6, 5e6 - 40_960)
    assert frame.horizontal.label == "x [km]"
    assert frame.horizontal.text(510_000) == "510"


def test_images_of_falling_size_are_no_pyramid():
    rng = np.random.default_rng(0)
    pages = {
        str(n): Group({"image": inline(rng.normal(size=(64 >> n, 64 >> n)), ("y", "x"))})
        for n in range(3)
    }
    found = subjects(Group(pages))
    assert [subject.path for subject in found] == ["0/image", "1/image", "2/image"]
    assert {subject.kind for subject in found} == {"image"}


def test_a_stack_is_a_montage():
    planes = np.arange(30 * 8 * 8, dtype="u1").reshape(30, 8, 8)
    group = Group(
        {
            "image": inline(planes, ("z", "y", "x")),
            "z": inline(np.arange(30) * 2.5, ("z",), attributes={"units": "mm"}),
        }
    )
    (subject,) = subjects(group)
    assert subject.kind == "montage"
    look = look_at(subject, Source(group))
    assert look.values.shape == (12, 8, 8)
    assert (look.panels[0], look.panels[-1]) == ("0 mm", "72.5 mm")
    np.testing.assert_array_equal(look.values[-1], planes[-1])


def test_lines_and_tables():
    group = Group(
        {
            "v": inline(np.arange(100.0), ("time",), attributes={"units": "m"}),
            "time": inline(
                np.arange(100.0), ("time",), attributes={"units": "hours since 2000-01-01"}
            ),
            "names": inline(np.array([b"ab", b"cd"]), ("n",)),
            "xyz": inline(np.zeros((50, 3)), ("particle", "axis")),
            "scalar": inline(np.zeros(()), ()),
        }
    )  # fmt: skip
    source = Source(group)
    found = {subject.path: subject for subject in subjects(group)}
    assert {path: one.kind for path, one in found.items()} == {
        "v": "lines", "xyz": "lines", "names": "table",
    }  # fmt: skip
    assert look_at(found["xyz"], source).values.shape == (50, 3)
    assert look_at(found["names"], source).rows == (("names",), ("ab",), ("cd",))
    assert "2000-01-03 02:00" in svg(look_at(found["v"], source), source)


def test_what_a_part_costs(tmp_path):
    values = np.zeros((8, 100), "f4")
    array = stored(tmp_path / "v", values, (1, 100), ("a", "b"))
    rows, whole = np.arange(8), np.arange(100)
    # Neighbours are fetched together.
    assert cost_of(array, [rows, whole]) == Cost(8, 1, 3200, 3200)
    assert cost_of(array, [rows[3:4], whole]) == Cost(1, 1, 400, 400)
    far = ChunkTable.from_columns(
        (8, 1),
        ("f", "g"),
        offset=np.arange(8) * 10**6,
        length=np.full(8, 400),
        url=np.arange(8) % 2,
    )
    apart = Array((8, 100), (1, 100), values.dtype, far)
    assert cost_of(apart, [rows, whole]) == Cost(8, 8, 3200, 3200)
    holes = ChunkTable.from_columns(
        (8, 1),
        ("f",),
        offset=np.array([5, 405]),
        length=np.array([400, 400]),
        index=np.array([2, 6]),
    )
    sparse = Array((8, 100), (1, 100), values.dtype, holes)
    assert cost_of(sparse, [rows[:6], whole]) == Cost(6, 1, 400, 2400)


def test_a_budget_is_kept(climate):
    refs, _ = climate
    (subject,) = subjects(refs)
    budget = Budget(each=Cost(10, 10, 10**6, 10**6), left=Cost(2, 2, 10**6, 10**6))
    source = Source(refs, budget=budget)
    look_at(subject, source)
    assert budget.left.chunks == 1
    look_at(subject, source)
    with pytest.raises(LimitError, match="what may be read for pictures has been read"):
        look_at(subject, source)
    tight = Source(refs, budget=Budget(each=Cost(1, 1, 10, 10)))
    with pytest.raises(LimitError, match="it takes 1 request for 1 chunk of 1"):
        look_at(subject, tight)


def test_of_what_is_too_large_the_middle_is_shown(tmp_path):
    values = np.arange(64 * 64, dtype="f4").reshape(64, 64)
    refs = Group({"v": stored(tmp_path / "v", values, (8, 8), ("y", "x"))})
    (subject,) = subjects(refs)
    source = Source(refs, budget=Budget(each=Cost(16, 16, 10**6, 10**6)))
    look = look_at(subject, source)
    assert look.part == "the middle 32 x 32 of 64 x 64"
    np.testing.assert_array_equal(look.values, values[16:48, 16:48])


def test_thin_chunks_in_between_are_not_read(tmp_path):
    values = np.arange(1000 * 10, dtype="f4").reshape(1000, 10)
    refs = Group({"v": stored(tmp_path / "v", values, (1, 10), ("y", "x"))})
    (subject,) = subjects(refs)
    source = Source(refs, budget=Budget(each=Cost(150, 9, 10**6, 10**6)))
    look = look_at(subject, source, pixels=100)
    np.testing.assert_array_equal(look.values, values[5::10])
    assert look.part == ""


@pytest.mark.parametrize("told", ["65535", "-1"])
def test_unsigned_values_and_their_missing_one(told):
    raw = np.array([[1, -1], [-2, 0]], "<i2")
    known = {"_Unsigned": "true", "_FillValue": int(told), "missing_value": int(told)}
    group = Group({"v": inline(np.tile(raw, (10, 10)), ("y", "x"), attributes=known)})
    (subject,) = subjects(group)
    look = look_at(subject, Source(group))
    np.testing.assert_array_equal(look.values[:2, :2], [[1, np.nan], [65534, 0]])


def test_rescaling_of_each_frame():
    group = Group(
        {
            "image": inline(
                np.ones((3, 4, 4), "u2"), ("z", "y", "x"), attributes={"rescale": "per frame"}
            ),
            "rescale_slope": inline(np.array([1.0, 2, 3]), ("z",)),
            "rescale_intercept": inline(np.array([0.0, 10, 20]), ("z",)),
        }
    )
    (subject,) = [one for one in subjects(group) if one.path == "image"]
    assert look_at(subject, Source(group)).values[:, 0, 0].tolist() == [1, 12, 23]


@pytest.mark.parametrize("lost", ["rescale_slope", "rescale_intercept", "both", "unreadable"])
def test_frames_whose_rescaling_is_lost_are_not_drawn_as_if_they_had_none(lost, tmp_path):
    kept = {"rescale_slope", "rescale_intercept"} - {lost} if lost != "both" else set()
    parts = {name: inline(np.array([1.0, 2, 3]), ("z",)) for name in kept}
    if lost == "unreadable":
        parts["rescale_slope"] = stored(tmp_path / "gone", np.array([1.0, 2, 3]), (3,), ("z",))
        (tmp_path / "gone").unlink()
    frames = np.ones((3, 4, 4), "u2")
    image = inline(frames, ("z", "y", "x"), attributes={"rescale": "per frame"})
    group = Group({"image": image, **parts})
    (subject,) = [one for one in subjects(group) if one.path == "image"]
    with pytest.raises(UnsupportedError, match="what its values mean is not known"):
        look_at(subject, Source(group))


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ({"scales": [2.0, 3.0]}, [2, 3]),
        ({"offsets": [5.0, 7.0]}, [6, 8]),
        ({"scales": [2.0, 3.0], "offsets": [5.0, 7.0]}, [7, 10]),
        ({"scales": [2.0, 3.0, 4.0], "offsets": [0.0, 0.0, 0.0]}, None),
        ({"scale_factor": [1.0, 2.0]}, None),
        ({"add_offset": "much"}, None),
    ],
)
def test_packing_that_is_half_told_or_not_understood(told, seen):
    array = inline(np.ones((2, 3, 3), "u2"), ("band", "y", "x"), attributes=told)
    region = [np.arange(size) for size in array.shape]
    source = Source(Group({"v": array}))
    if seen is None:
        with pytest.raises(UnsupportedError, match="what its values mean is not known"):
            source.meant("v", region)
    else:
        assert source.meant("v", region)[:, 0, 0].tolist() == seen


def crs_label(attributes):
    return reference_system(attributes).label


def test_names_of_systems():
    assert crs_label({"crs_wkt": 'GEOGCRS["WGS 84",ID["EPSG",4326]]'}) == "WGS 84 (EPSG:4326)"
    polar = {"grid_mapping_name": "polar_stereographic", "straight_vertical_longitude_from_pole": 0}
    assert crs_label(polar) == "polar stereographic (straight longitude 0)"
    assert crs_label({"crs_wkt": 'PROJCRS["unknown"]', **polar}).startswith("polar")
    assert crs_label({}) == ""


def test_curvilinear_maps_and_points(tmp_path):
    down, across = np.meshgrid(np.linspace(-60, 60, 13), np.linspace(100, 460, 30), indexing="ij")
    across = (across + 180) % 360 - 180
    data = xr.Dataset(
        {
            "sst": (("j", "i"), down * 1.0, {"coordinates": "lat lon"}),
            "p": ("cell", np.arange(40.0)),
        },
        {
            "lat": (("j", "i"), down, LATITUDES),
            "lon": (("j", "i"), across, LONGITUDES),
            "clat": ("cell", np.linspace(-80, 80, 40), LATITUDES),
            "clon": ("cell", np.linspace(0, 350, 40), LONGITUDES),
        },
    )
    data.to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    refs = refmaker.scan(tmp_path / "c.nc")
    found = {subject.path: subject for subject in subjects(refs)}
    assert {path: one.kind for path, one in found.items()} == {"sst": "map", "p": "points"}
    source = Source(refs)
    for subject in found.values():
        assert "°E" in svg(look_at(subject, source), source)


def test_colours_and_channels(tmp_path):
    rgb = np.zeros((20, 30, 3), "u1")
    rgb[:, :, 1] = 200
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    refs = refmaker.scan(tmp_path / "a.tif")
    (subject,) = subjects(refs)
    look = look_at(subject, Source(refs))
    np.testing.assert_array_equal(look.values, rgb)


def test_a_picture_for_any_program(climate):
    refs, _ = climate
    (subject,) = subjects(refs)
    source = Source(refs)
    image = Image.open(io.BytesIO(png(look_at(subject, source), source)))
    assert image.width > 600


def test_names_cannot_leave_their_place(tmp_path):
    hostile = '"><script>alert(1)</script>$\\frac$'
    known = {"long_name": hostile, "units": hostile}
    values = np.random.default_rng(0).normal(size=(20, 20))
    refs = Group({"v": inline(values, (hostile, "x"), attributes=known)})
    (subject,) = subjects(refs)
    source = Source(refs)
    text = svg(look_at(subject, source), source)
    assert "<script" not in text
    assert 'aria-label="&quot;&gt;&lt;script&gt;' in text


def test_a_few_long_rows():
    values = np.arange(3 * 9000, dtype="f4").reshape(3, 9000)
    group = Group({"v": inline(values, ("y", "x"))})
    (subject,) = subjects(group)
    look = look_at(subject, Source(group), pixels=450)
    assert look.every == (1, 20)
    np.testing.assert_array_equal(look.values, values[:, 10::20])
    assert svg(look, Source(group))


def test_planes_of_a_stack_keep_their_shape():
    """Pixels that are twice as high as wide, and more rows than columns."""
    group = Group(
        {
            "image": inline(np.zeros((4, 400, 100), "u1"), ("z", "y", "x")),
            "y": inline(np.arange(400) * 2.0, ("y",), attributes={"units": "mm"}),
            "x": inline(np.arange(100) * 1.0, ("x",), attributes={"units": "mm"}),
        }
    )
    (subject,) = subjects(group)
    look = look_at(subject, Source(group), pixels=300)
    assert look.every == (4, 4)
    assert look.values.shape == (4, 100, 25)
    frame = frame_of(look, Source(group))
    assert frame.ratio == pytest.approx(8)


def test_photographs_are_made_smaller_by_means():
    rgb = np.zeros((300, 300, 3), "u1")
    rgb[:, ::2] = 200
    group = Group({"image": inline(rgb, ("y", "x", "c"), attributes={"photometric": "rgb"})})
    (subject,) = subjects(group)
    look = look_at(subject, Source(group), pixels=150)
    assert look.values.shape == (150, 150, 3)
    assert (look.values == 100).all()


def test_palettes():
    numbers = np.tile(np.array([[0, 1], [2, 9]], "u1"), (10, 10))
    tiff = {"photometric": "palette", "colormap": [[0, 65535, 0], [0, 0, 65535], [257, 0, 0]]}
    dicom = {"photometric_interpretation": "PALETTE COLOR"}
    table = np.array([[1, 2, 3], [4, 5, 6]], "u1")
    group = Group(
        {
            "t": inline(numbers, ("y", "x"), attributes=tiff),
            "d": Group(
                {
                    "image": inline(numbers, ("y", "x"), attributes=dicom),
                    "palette": inline(table, ("entry", "c"), attributes={"first_value": 1}),
                }
            ),
        }
    )
    found = {one.path: one for one in subjects(group) if one.kind == "image"}
    seen = {path: look_at(one, Source(group)).values[:2, :2] for path, one in found.items()}
    assert seen["t"].tolist() == [[[0, 0, 1], [255, 0, 0]], [[0, 255, 0], [0, 255, 0]]]
    assert seen["d/image"].tolist() == [[[1, 2, 3], [1, 2, 3]], [[4, 5, 6], [4, 5, 6]]]


def test_requests_are_those_that_a_server_sees(tmp_path):
    """Chunks that lie apart, a line of which lies together."""
    grid, size, far = (6, 4), 400, 10**6
    (tmp_path / "d").write_bytes(np.random.default_rng(0).bytes(6 * far))
    rows, columns = np.divmod(np.arange(24), 4)
    with RangeServer(tmp_path) as server:
        chunks = ChunkTable.from_columns(
            grid, (server.url("d"),), offset=rows * far + columns * size, length=np.full(24, size)
        )
        group = Group({"v": Array((6, 400), (1, 100), np.dtype("f4"), chunks)})
        array = group["v"]
        middle, whole = np.array([3]), np.arange(6)
        for region, requests in (
            ([middle, np.arange(400)], 1),
            ([whole, np.array([7])], 6),
            ([whole, np.arange(400)], 6),
        ):
            cost = cost_of(array, region)
            assert cost.requests == requests
            before = server.counts.requests["GET"]
            Source(group).read("v", region)
            assert server.counts.requests["GET"] - before <= cost.requests


def test_north_is_up_however_rows_are_stored():
    field = np.add.outer(np.arange(12.0), np.arange(16.0) * 0.3)
    seen = []
    for order in (1, -1):
        group = Group(
            {
                "v": inline(field[::order].copy(), ("lat", "lon")),
                "lat": inline(np.arange(12.0)[::order].copy(), ("lat",), attributes=LATITUDES),
                "lon": inline(np.arange(16.0), ("lon",), attributes=LONGITUDES),
            }
        )
        (subject,) = subjects(group)
        source = Source(group)
        seen.append(np.asarray(Image.open(io.BytesIO(png(look_at(subject, source), source)))))
    np.testing.assert_array_equal(*seen)
    # Yellow, the greatest, is at the top right of the map, violet at its bottom left.
    top, bottom = seen[0][100, 600], seen[0][-100, 180]
    assert top[0] > top[2]
    assert bottom[2] > bottom[1]


@pytest.mark.parametrize("known", [True, False])
def test_levels_without_places_of_their_own_lie_where_the_largest_does(known):
    image = np.zeros((1024, 1024), "u1")
    sets = [{"path": f"s{n}"} for n in range(3)]
    members = {f"s{n}": inline(image[:: 2**n, :: 2**n].copy(), ("y", "x")) for n in range(3)}
    if known:
        for name in "yx":
            members[name] = inline(np.arange(1024) * 0.5, (name,), attributes={"units": "um"})
    group = Group(members, attributes={"multiscales": [{"datasets": sets}]})
    (subject,) = subjects(group)
    source = Source(group)
    look = look_at(subject, source, pixels=256)
    assert look.path == "s2"
    edges = frame_of(look, source).horizontal.edges
    assert edges == pytest.approx((-0.25, 511.75) if known else (-0.5, 1023.5))


@given(data=st.data())
def test_costs_are_those_of_a_count_by_hand(data):
    grid = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    total = grid[0] * grid[1]
    rows = sorted(data.draw(st.sets(st.integers(0, total - 1), min_size=1)))
    lengths = data.draw(st.lists(st.integers(1, 10**6), min_size=len(rows), max_size=len(rows)))
    offsets = data.draw(st.lists(st.integers(0, 10**7), min_size=len(rows), max_size=len(rows)))
    files = data.draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows)))
    table = ChunkTable.from_columns(
        grid, ("a", "b"), offset=np.array(offsets), length=np.array(lengths),
        url=np.array(files), index=np.array(rows),
    )  # fmt: skip
    array = Array((grid[0] * 3, grid[1] * 2), (3, 2), np.dtype("u2"), table)
    region = [
        np.array(sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1))))
        for size in array.shape
    ]
    touched = {(i // 3) * grid[1] + j // 2 for i in region[0] for j in region[1]}
    ranges = sorted(
        (file, offset, length)
        for row, file, offset, length in zip(rows, files, offsets, lengths, strict=True)
        if row in touched
    )
    requests = len(ranges[:1])
    for (file, offset, length), (other, start, _) in itertools.pairwise(ranges):
        requests += file != other or start - offset - length > 128 * 1024
    cost = cost_of(array, region)
    assert (cost.chunks, cost.requests) == (len(touched), requests)
    assert cost.stored == sum(length for _, _, length in ranges)
    assert cost.decoded == len(touched) * 12


def test_the_first_row_of_fits_is_the_lowest():
    group = Group({"data": inline(np.zeros((20, 20)), ("NAXIS2", "NAXIS1"))})
    (subject,) = subjects(group)
    assert frame_of(look_at(subject, Source(group)), Source(group)).upward


def test_times_are_told_to_the_second():
    times = inline(np.arange(12) + 0.25, ("time",), attributes={"units": "seconds since 2000-1-1"})
    group = Group({"v": inline(np.zeros((12, 12)), ("time", "range")), "time": times})
    (subject,) = subjects(group)
    source = Source(group)
    assert source.texts(subject.axes[0], [0, 3]) == ["2000-01-01 00:00", "2000-01-01 00:00:03"]
