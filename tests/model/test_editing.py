"""Editing a set is what xarray does to the open dataset; or it is refused by name."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.codecs.chunk_values import inlined_values
from refmaker.errors import LimitError, MetadataError, PolicyError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.edges import Edges
from refmaker.model.origin import Origin
from refmaker.storage.reference_set import ReferenceSet

TIMES = 14
CHUNKS = {"tas": (5, 2, 3), "pr": (1, 4, 6), "edge": (4, 3)}


def dataset():
    steps = np.arange(TIMES)
    rng = np.random.default_rng(1)
    time = {"units": "days since 2000-01-01", "bounds": "time_bnds"}
    return xr.Dataset(
        {
            "tas": (
                ("time", "lat", "lon"),
                rng.random((TIMES, 4, 6), "f4"),
                {"grid_mapping": "crs", "coordinates": "height region", "standard_name": "x"},
            ),
            "pr": (("time", "lat", "lon"), rng.random((TIMES, 4, 6))),
            "edge": (
                ("time", "lat"),
                rng.integers(0, 9, (TIMES, 4), "i2"),
                {"cell_measures": "area: area"},
            ),
            "area": (("lat",), rng.random(4)),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
            "time_bnds": (("time", "nv"), np.stack([steps, steps + 1.0], 1)),
            "time": ("time", steps, time),
            "lat": ("lat", np.linspace(-60, 60, 4)),
            "lon": ("lon", np.arange(6.0)),
            "height": ((), 2.0),
            "region": ("lat", np.array(["north", "x", "", "south"], object)),
        }
    )


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
    path = tmp_path_factory.mktemp("edit") / "a.nc"
    encoding = {name: {"chunksizes": sizes, "zlib": True} for name, sizes in CHUNKS.items()}
    dataset().to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return refmaker.scan(path, isolate="never")


def opened(refs):
    return refmaker.open_dataset(refs, decode_coords="all")


def same(refs, expected):
    """The set, open, is what xarray made; in what attributes of variables say, too."""
    xr.testing.assert_identical(opened(refs).load(), expected.load())


def belonging(data, names):
    """Return variables with what their attributes name, as xarray has read them."""
    found, left = set(), list(names)
    while left:
        name = left.pop()
        if name in found or name not in data.variables:
            continue
        found.add(name)
        told = data[name].encoding | data[name].attrs
        words = (str(told.get(key, "")) for key in ("coordinates", "grid_mapping", "bounds"))
        roles = str(told.get("cell_measures", "")).split()[1::2]
        left += [*" ".join(words).split(), *roles, *map(str, data[name].dims)]
    return found


def lacking(data, names):
    """Return a dataset without some; what none of the others names is no coordinate any more."""
    left = data.drop_vars(names)
    others = [name for name in left.variables if name not in left.dims]
    told = set().union(*(belonging(left, [v]) - {v} for v in left.variables))
    return left.reset_coords([c for c in others if c in left.coords and c not in told])


def single(refs, dim):
    """Whether no chunk that is referenced holds more than one element along a dimension."""
    return all(
        array.chunk_shape[array.dimension_names.index(dim)] == 1
        for _, array in refs.group.arrays()
        if dim in array.dimension_names and array.chunks.referenced
    )


def aligned(data, refs, dim):
    """Return starts at which no chunk of a dimension is cut."""
    size = data.sizes[dim]
    steps = {
        array.chunk_shape[array.dimension_names.index(dim)]
        for _, array in refs.group.arrays()
        if dim in array.dimension_names and array.chunks.referenced
    }
    return [start for start in range(size) if all(start % step == 0 for step in steps)] or [0]


@st.composite
def edits(draw, data, refs):
    """Draw an edit, as functions of a set and of a dataset."""
    dims = sorted(map(str, data.sizes))
    variables = sorted(set(map(str, data.data_vars)) - {"crs", "time_bnds"})
    verb = draw(
        st.sampled_from(
            [
                "select",
                "drop",
                "rename",
                "isel",
                "expand_dims",
                "squeeze",
                "assign_coords",
                "assign_attrs",
            ]
        )
    )
    if verb == "select" and variables:
        names = draw(st.lists(st.sampled_from(variables), min_size=1, unique=True))
        gone = set(data.variables) - belonging(data, names)
        return lambda r: r.select(names), lambda d: lacking(d, gone)
    if verb == "drop" and len(variables) > 1:
        names = draw(st.lists(st.sampled_from(variables), min_size=1, max_size=1))
        return lambda r: r.drop(names), lambda d: lacking(d, names)
    if verb == "rename":
        olds = sorted(set(map(str, data.variables)) | set(dims))
        old, new = draw(st.sampled_from(olds)), draw(st.sampled_from(["a", "b", "c"]))
        if new not in olds:
            return lambda r: r.rename({old: new}), lambda d: d.rename({old: new})
    if verb == "isel" and dims:
        dim = draw(st.sampled_from(dims))
        start = draw(st.sampled_from(aligned(data, refs, dim)))
        stop = draw(st.integers(start, data.sizes[dim] + 2))
        part = slice(start or None, stop)
        return lambda r: r.isel({dim: part}), lambda d: d.isel({dim: part})
    if verb == "expand_dims" and "new" not in data.variables and "new" not in dims:
        value = draw(st.sampled_from([7, 2.5, "text", np.datetime64("2020-01-01T06")]))
        axis = draw(st.sampled_from([0, -1]))
        return (
            lambda r: r.expand_dims("new", value, axis=axis),
            lambda d: d.expand_dims({"new": [value]}, axis=axis),
        )
    if verb == "squeeze":
        unit = [dim for dim in dims if data.sizes[dim] == 1 and single(refs, dim)]
        if unit:
            return operator.methodcaller("squeeze", unit[0]), operator.methodcaller(
                "squeeze", unit[0]
            )
    if verb == "assign_coords" and "lat" in dims:
        values = np.arange(data.sizes["lat"]) * 1.5
        return lambda r: r.assign_coords(lat=values), lambda d: d.assign_coords(lat=values)
    value = draw(st.sampled_from([1, "K", 2.5, [1, 2], None]))
    name = draw(st.sampled_from([None, *variables]))
    return lambda r: r.assign_attrs(name or "", note=value), lambda d: _noted(d, name, value)


def _noted(data, name, value):
    data = data.copy()
    attrs = data.attrs if name is None else data[name].attrs
    attrs.pop("note", None) if value is None else attrs.update(note=value)
    return data


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_edits(refs, data):
    """Each of some edits one after the other gives what xarray gives."""
    for _ in range(4):
        before = opened(refs)
        ours, theirs = data.draw(edits(before, refs))
        refs = ours(refs)
        same(refs, theirs(before))
    checks = refmaker.verify(refs, isolate="never", sample=None)
    assert all(check.ok for check in checks), checks
    assert {check.verdict for check in checks} <= {"equal", "given", "empty"}


def test_one_position(refs):
    chosen = refs.drop(["tas", "edge"])
    same(chosen.isel(time=-3), opened(chosen).isel(time=-3))
    assert all(check.ok for check in refmaker.verify(chosen.isel(time=-3), isolate="never"))


def test_a_slice_may_end_inside_of_a_chunk(refs):
    cut = refs.isel(time=slice(5, 8))
    same(cut, opened(refs).isel(time=slice(5, 8)))
    assert cut.group["tas"].chunks.grid == (1, 2, 2)


def test_companions_travel_with_a_variable(refs):
    wanted = {"tas", "time", "time_bnds", "lat", "lon", "crs", "height", "region"}
    assert set(refs.select("tas").group.members) == wanted
    bare = refs.assign_attrs("edge", coordinates=None)
    assert set(bare.select("edge").group.members) == {"edge", "area", "time", "time_bnds", "lat"}


def test_attributes_that_name_others_follow_a_new_name():
    def array(names, **attributes):
        grid = tuple(1 for _ in names)
        return Array(
            grid,
            grid,
            np.dtype("f4"),
            ChunkTable.empty(grid),
            dimension_names=names,
            attributes=attributes,
        )

    group = Group(
        {
            "ps": array(("t",)),
            "lev": array(("lev",), formula_terms="ps: ps a: a", bounds="b"),
            "a": array(("lev",)),
            "b": array(("lev", "n")),
            "crs": array(()),
            "v": array(
                ("t", "lev"),
                cell_methods="t: mean (interval: t) lev: sum",
                grid_mapping="crs: lat lon",
                cell_measures="area: a",
                compress="t lev",
                note="t lev ps",
            ),
        },
        {"coordinates": "a ps", "_nc_unlimited_dimensions": ["t"]},
    )
    found = ReferenceSet(group).rename(ps="p", t="time", a="hyam", crs="grid", lev="level").group
    assert found["level"].attributes == {"formula_terms": "ps: p a: hyam", "bounds": "b"}
    assert found["v"].attributes == {
        "cell_methods": "time: mean (interval: t) level: sum", "grid_mapping": "grid: lat lon",
        "cell_measures": "area: hyam", "compress": "time level", "note": "t lev ps",
    }  # fmt: skip
    assert found["v"].dimension_names == ("time", "level")
    assert found.attributes == {"coordinates": "hyam p", "_nc_unlimited_dimensions": ["time"]}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r.isel(time=slice(3, 9)), r"tas.*time=3:9 goes through chunks of 5 .*time=0:10"),
        (lambda r: r.isel(time=3), "tas.*time=3 is no chunk by itself: chunks hold 5 .*time=0:5"),
        (lambda r: r.isel(time=slice(0, 9, 2)), "steps of 2"),
        (lambda r: r.isel(time=14), "time has no element 14, it has 14"),
        (lambda r: r.isel(tim=0), "no dimension 'tim' .*there are time"),
        (lambda r: r.select(["tass"]), "no array or group 'tass' .*there are tas"),
        (lambda r: r.drop("x"), "no array or group 'x'"),
        (lambda r: r.rename(tas="pr"), "there is a variable or group 'pr' already, 'tas' cannot"),
        (lambda r: r.rename(pr="tas"), "there is a variable or group 'tas' already, 'pr' cannot"),
        (lambda r: r.rename(tas="x", pr="x"), "'tas' and 'pr' would both be .*'x'"),
        (lambda r: r.rename(tas="lon2", lon="nv"), "dimension 'nv' already"),
        (lambda r: r.drop("time").rename(tas="time"), "name of one of its dimensions"),
        (lambda r: r.rename(tas="a/b"), "cannot be the name"),
        (lambda r: r.rename(zz="a"), "no variable, group or dimension 'zz'"),
        (lambda r: r.squeeze("time"), "time has 14 elements, not 1"),
        (lambda r: r.squeeze("zz"), "no dimension 'zz'"),
        (lambda r: r.expand_dims("time"), "dimension 'time' already"),
        (lambda r: r.expand_dims("height", 3), "'height' already"),
        (lambda r: r.expand_dims("area"), "'area' already"),
        (lambda r: r.expand_dims("run", [1, 2]), "one element, and 2 values"),
        (lambda r: r.expand_dims("run", 1, axis=3), "edge.*number 3 of 3"),
        (lambda r: r.assign_coords(lat=[1, 2]), "2 values were given for the 4 elements of lat"),
        (lambda r: r.assign_coords(lat=3), "name of a dimension"),
        (lambda r: r.assign_coords(t=np.array(["NaT"], "M8[s]")), "NaT"),
        (lambda r: r.assign_coords(t=object()), "not kept"),
        (lambda r: r.assign_attrs("tas", _ARRAY_DIMENSIONS=["a"]), "no attribute that can be set"),
        (lambda r: r.assign_attrs("zz", a=1), "no array or group 'zz'"),
        (lambda r: r.assign_attrs("tas", a=float), "not expressible in JSON"),
        (lambda r: r.assign_attrs("edge", _FillValue="x"), "no value of int16"),
        (lambda r: r.assign_attrs("edge", _FillValue=1e9), "no value of int16"),
        (lambda r: r.rename(time="t", group="g"), "no group 'g'"),
    ],
)
def test_what_is_refused_by_name(refs, edit, message):
    with pytest.raises(MetadataError, match=message) as caught:
        edit(refs)
    assert "a.nc" in str(caught.value)


def test_a_merge_of_others_is_refused(refs):
    with pytest.raises(MetadataError, match=r"pr: it has other attributes, such as units, in"):
        refs.merge(refs.assign_attrs("pr", units="m"))
    with pytest.raises(MetadataError, match=r"time has 14 elements in .* and 5 in"):
        refs.merge(refs.select("pr").drop("time").isel(time=slice(0, 5)).rename(pr="q"))


def test_merging_what_was_taken_apart(refs):
    one, other = refs.select("tas"), refs.select(["pr", "edge"])
    both = one.merge(other)
    same(both, xr.merge([opened(one), opened(other)], compat="identical", join="exact"))
    assert {*both.group.members} == {*refs.group.members}
    assert both.report.sources == refs.report.sources
    assert all(check.ok for check in refmaker.verify(both, isolate="never"))


def test_loading_lets_anything_be_cut(refs):
    loaded = refmaker.load(refs, ["tas", "pr", "edge"])
    assert not any(array.chunks.referenced for _, array in loaded.group.arrays())
    same(loaded, opened(refs))
    for part in (slice(3, 9), 3, slice(-4, None)):
        same(loaded.isel(time=part), opened(refs).isel(time=part))
        assert all(check.ok for check in refmaker.verify(loaded.isel(time=part), isolate="never"))
    with pytest.raises(LimitError, match="more than the 10"):
        refmaker.load(refs, "tas", inline_budget=10)
    with pytest.raises(MetadataError, match="there are tas"):
        refmaker.load(refs, "tass")


def test_a_scalar_becomes_a_dimension(refs):
    # xarray has it as a coordinate of what names it; all others get the dimension, too.
    same(refs.expand_dims("height", axis=0), opened(refs).expand_dims("height", axis=0))


def test_another_missing_value():
    full = ChunkTable.inline((1,), {0: np.array([1, 2, 3], "i2").tobytes()})
    plain = ReferenceSet(
        Group({"v": Array((3,), (3,), np.dtype("i2"), full, dimension_names=("x",))})
    )
    found = refmaker.open_dataset(plain.assign_attrs("v", _FillValue=2))
    np.testing.assert_array_equal(found["v"], [1, np.nan, 3])
    again = plain.assign_attrs("v", _FillValue=2).assign_attrs("v", _FillValue=None)
    np.testing.assert_array_equal(refmaker.open_dataset(again)["v"], [1, 2, 3])
    empty = ChunkTable.empty((1,))
    hole = ReferenceSet(Group({"v": Array((3,), (3,), np.dtype("i2"), empty, fill_value=7)}))
    with pytest.raises(MetadataError, match="never written, and read as 7"):
        hole.assign_attrs("v", _FillValue=2)


def test_types_of_attributes_are_kept(refs):
    one = refs.assign_attrs("pr", scale_factor=np.float32(0.1), list=np.array([1, 2], "i2"), b=True)
    found = one.group["pr"].attributes
    assert found["_nczarr_attr"]["types"]["scale_factor"] == "<f4"
    decoded = refmaker.open_dataset(one)["pr"].encoding["scale_factor"]
    assert decoded == np.float32(0.1)
    plain = one.assign_attrs("pr", scale_factor=0.5, list=None).group["pr"].attributes
    assert "scale_factor" not in plain["_nczarr_attr"]["types"]
    assert "list" not in plain


def nested():
    def array(names, shape):
        grid = tuple(shape)
        index = np.arange(np.prod(grid, dtype=int))
        table = ChunkTable.from_columns(
            grid, ("/a.bin",), offset=index * 4, length=np.full(index.size, 4)
        )
        return Array(grid, tuple(1 for _ in grid), np.dtype("f4"), table, dimension_names=names)

    inner = Group(
        {"v": array(("x", "y"), (4, 3)), "own": array(("y",), (2,))}, {"coordinates": "own"}
    )
    return ReferenceSet(
        Group({"x": array(("x",), (4,)), "y": array(("y",), (3,)), "g": Group({"h": inner})})
    )


def test_groups():
    refs = nested()
    paths = [path for path, _ in refs.group.walk()]
    assert [path for path, _ in refs.select("g/h/v").group.walk()] == paths[:-1]
    assert [path for path, _ in refs.select("g").group.walk()] == paths
    assert "g" not in refs.drop("g").group.members
    assert refs.drop("g/h/own").group["g/h"].attributes == {}
    cut = refs.isel(x=slice(1, 3)).group
    assert cut["x"].shape == (2,)
    assert cut["g/h/v"].shape == (2, 3)
    named = refs.rename(x="lon", y="lat").group
    assert named["g/h/v"].dimension_names == ("lon", "lat")
    assert named["g/h/own"].dimension_names == ("y",), "it has another size, so it is another one"
    moved = refs.rename({"v": "w"}, group="g/h").rename(g="k").group
    assert moved["k/h/w"].origin == Origin.whole("g/h/v", (4, 3))
    assert refs.expand_dims("z", 1, group="g/h").group["g/h/v"].dimension_names == ("z", "x", "y")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_the_order_of_elements_stays(order, axis):
    values = np.arange(24, dtype="i4").reshape(4, 6)
    parts = {0: values[:, :3].tobytes(order), 1: values[:, 3:].tobytes(order)}
    table = ChunkTable.inline((1, 2), parts)
    array = Array((4, 6), (4, 3), values.dtype, table, order=order, dimension_names=("y", "x"))
    refs = ReferenceSet(Group({"v": array})).expand_dims("z", axis=axis)
    expected = np.expand_dims(values, axis)
    np.testing.assert_array_equal(refmaker.open_dataset(refs)["v"], expected)
    back = refmaker.open_dataset(refs.squeeze("z"))["v"]
    np.testing.assert_array_equal(back, values)


def test_dimensions_of_no_names_are_told():
    table = ChunkTable.empty((1,))
    refs = ReferenceSet(Group({"v": Array((3,), (3,), np.dtype("i2"), table)}))
    with pytest.raises(MetadataError, match="v: its dimensions have no names"):
        refs.expand_dims("run")


@pytest.mark.parametrize(
    "document",
    [
        None, {}, {"path": 1}, {"path": "a"}, {"path": "a", "axes": [1]},
        {"path": "a", "axes": [-1, -2]},
        {"path": "a", "axes": [-1], "start": [0]},
        {"path": "a", "axes": [-1], "start": [-1], "shape": [1]},
        {"path": "a", "axes": [True]}, {"path": "a", "axes": [-1], "attributes": [1]},
        {"path": "a", "axes": [-1], "start": [0, 1], "shape": [1, 1]},
        {"path": "a", "axes": [2**80]},
    ],
)  # fmt: skip
def test_origins_that_are_none(document):
    with pytest.raises(MetadataError):
        Origin.from_dict(document)


@given(st.data())
def test_origins_follow_their_elements(data):
    """Whatever is cut, added and taken away: an element is the one that it was."""
    shape = data.draw(st.lists(st.integers(1, 4), max_size=3).map(tuple))
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    found, origin = values, Origin.whole("a", shape)
    for _ in range(data.draw(st.integers(0, 6))):
        unit = [axis for axis, size in enumerate(found.shape) if size == 1]
        verb = data.draw(st.sampled_from(["cut", "add", *(["remove"] if unit else [])]))
        if verb == "cut" and found.ndim:
            axis = data.draw(st.integers(-found.ndim, -1))
            start = data.draw(st.integers(0, found.shape[axis] - 1))
            found = np.take(found, range(start, found.shape[axis]), axis)
            origin = origin.cut(axis, start)
        elif verb == "add":
            axis = data.draw(st.integers(-found.ndim - 1, -1))
            found, origin = np.expand_dims(found, axis), origin.with_new(axis)
        elif unit:
            axis = data.draw(st.sampled_from(unit))
            origin = origin.without(axis - found.ndim)
            found = np.squeeze(found, axis)
    assert origin.places(found.shape)
    region = origin.region([slice(0, size) for size in found.shape])
    np.testing.assert_array_equal(values[region].reshape(found.shape), found)
    assert Origin.from_dict(origin.as_dict()) == origin


@pytest.mark.parametrize("inlined", [False, True])
@pytest.mark.parametrize(
    ("shape", "chunks"), [((12,), (12,)), ((12,), (6,)), ((12, 3), (12, 3)), ((4, 12), (1, 12))]
)
@pytest.mark.parametrize("part", [slice(7, 11), slice(2, 5), slice(11, 12), 8])
def test_plain_chunks_are_cut_anywhere(tmp_path, shape, chunks, part, inlined):
    """A coordinate that stands in one piece in its file is cut without being read."""
    values = np.arange(np.prod(shape), dtype=">i4").reshape(shape)
    path = tmp_path / "a.bin"
    grid = tuple(n // c for n, c in zip(shape, chunks, strict=True))
    size = values.nbytes // int(np.prod(grid))
    path.write_bytes(values.tobytes())
    offset = np.arange(np.prod(grid)) * size
    table = ChunkTable.from_columns(
        grid, (str(path),), offset=offset, length=np.full(offset.size, size)
    )
    names = ("y", "x") if len(shape) == 2 and shape[0] == 4 else ("x", "y")[: len(shape)]
    array = Array(shape, chunks, values.dtype, table, dimension_names=names)
    refs = ReferenceSet(Group({"v": array}))
    if inlined:
        refs = refmaker.load(refs, "v")
    cut = refs.isel(x=part)
    assert bool(cut.group["v"].chunks.inlined) == inlined
    expected = xr.DataArray(values, dims=names).isel(x=part)
    np.testing.assert_array_equal(refmaker.open_dataset(cut)["v"], expected)


@given(st.data())
def test_chunks_of_different_lengths(data):
    """Cutting between chunks of different lengths, padded or not, is what numpy does."""
    lengths = np.array(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)))
    padding = np.array([data.draw(st.integers(0, 2)) for _ in lengths])
    edges = Edges(lengths, lengths + padding)
    values = np.arange(edges.size * 2, dtype="i4").reshape(-1, 2)
    chunks, inline = {}, data.draw(st.booleans())
    for number, (start, held) in enumerate(zip(edges.starts, edges.lengths, strict=True)):
        whole = np.full((edges.stored[number], 2), -1, "i4")
        whole[:held] = values[start : start + held]
        chunks[number] = whole.tobytes()
    grid = (edges.count, 1)
    array = Array(
        values.shape, (edges.largest, 2), values.dtype, ChunkTable.inline(grid, chunks),
        dimension_names=("x", "y"), edges=(edges, None),
    )  # fmt: skip
    if not inline:
        rows = np.arange(edges.count)
        table = ChunkTable.from_columns(grid, ("/a",), offset=rows * 99, length=rows + 1)
        array = replace(array, chunks=table)
    refs = ReferenceSet(Group({"v": array}))
    start = data.draw(st.sampled_from(edges.starts.tolist()))
    stop = data.draw(st.integers(start, edges.size))
    cut = refs.isel(x=slice(start, stop)).expand_dims("z").squeeze("z").group["v"]
    assert cut.shape == (stop - start, 2)
    if inline:
        np.testing.assert_array_equal(inlined_values(cut), values[start:stop])
    elif stop > start:
        first = int(np.flatnonzero(edges.starts == start)[0])
        offset = np.arange(first, first + cut.chunks.grid[0]) * 99
        assert cut.chunks.offset.tolist() == offset.tolist()
        for at in range(cut.chunks.grid[0]):
            assert cut.decoded_shape((at, 0)) == (edges.stored[first + at], 2)
    if inline:
        anywhere = data.draw(st.integers(0, edges.size - 1))
        found = refs.isel(x=slice(anywhere, stop)).group["v"]
        np.testing.assert_array_equal(inlined_values(found), values[anywhere:stop])


def test_codecs_that_do_more_than_decode_are_not_run():
    table = ChunkTable.inline((1,), {0: b"import os"})
    codecs = ({"id": "pickle"},)
    evil = Array((3,), (3,), np.dtype("i2"), table, filters=codecs, dimension_names=("x",))
    with pytest.raises(PolicyError, match="'pickle' is not known to be safe"):
        ReferenceSet(Group({"v": evil})).isel(x=slice(1, 2))
