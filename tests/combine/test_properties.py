"""Random cubes, cut at random, in random order: what comes back is the cube, or a refusal."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from hypothesis import event, given
from hypothesis import strategies as st

import refmaker
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import decode_array
from tests.combine.files import same, write


@st.composite
def cuts(draw, size, most=4):
    """Return the borders of consecutive parts of a dimension."""
    inner = draw(st.sets(st.integers(1, size - 1), max_size=most - 1)) if size > 1 else set()
    return [0, *sorted(inner), size]


@st.composite
def cubes(draw):
    """Return a dataset, its parts in some order, and how to write them."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 4)))
    dtype = draw(st.sampled_from(["i2", "f4", ">f8"]))
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    falling = draw(st.booleans()) and shape[0] > 1
    times = np.arange(shape[0], dtype="i4")
    data = xr.Dataset(
        {"v": (("time", "lat", "lon"), values), "w": (("time",), times * 1.5)},
        {"time": times[::-1] if falling else times,
         "lat": np.arange(shape[1]) * 0.5, "lon": np.arange(shape[2]) * 2.0},
    )  # fmt: skip
    borders = {"time": draw(cuts(shape[0])), "lat": draw(cuts(shape[1], 2))}
    parts = [
        data.isel(time=slice(a, b), lat=slice(c, d))
        for a, b in zip(borders["time"], borders["time"][1:], strict=False)
        for c, d in zip(borders["lat"], borders["lat"][1:], strict=False)
    ]
    parts = draw(st.permutations(parts))
    chunks = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)))
    return data, parts, chunks, draw(st.booleans())


@given(cubes(), st.sampled_from([None, "common"]), st.sampled_from([0, 1024]))
def test_the_cube_is_that_of_xarray_or_refused(cube, recut, threshold):
    data, parts, chunks, zlib = cube
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            write(Path(folder) / f"{k}.nc", part, chunks, zlib=zlib) for k, part in enumerate(parts)
        ]
        sets = [refmaker.scan(path, inline_threshold=threshold) for path in paths]
        natives = []
        for path in paths:
            with xr.open_dataset(path, decode_cf=False, engine="h5netcdf") as native:
                natives.append(native.load())
        try:
            found = refmaker.combine(sets, chunks=recut, inline_threshold=threshold)
        except MetadataError:
            event("refused")
            assert len(parts) > 1
            return
        event("combined")
        expected = xr.combine_by_coords(
            natives, data_vars="minimal", coords="minimal", compat="no_conflicts", join="outer"
        )
        if len(parts) > 1 and data.sizes["time"] > 1 and bool(data["time"][0] > data["time"][-1]):
            # Of single times nobody can tell that they fell.
            expected = expected.sel(time=found_times(found))
        same(found, expected.transpose("time", "lat", "lon", ...))


def found_times(refs):
    array = refs.group["time"]
    return decode_array(array)


def in_memory(values, chunks, number, coords):
    """Return a set of one variable whose chunks are inlined or made-up byte ranges."""
    grid = tuple(-(-n // c) for n, c in zip(values.shape, chunks, strict=True))
    inlined = {}
    for flat, at in enumerate(np.ndindex(*grid)):
        chunk = np.zeros(chunks, values.dtype)
        part = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunks, strict=True))]
        chunk[tuple(slice(0, n) for n in part.shape)] = part
        inlined[flat] = chunk.tobytes()
    names = tuple(coords)
    table = ChunkTable.inline(grid, inlined)
    members = {"v": Array(values.shape, chunks, values.dtype, table, dimension_names=names)}
    for name, labels in coords.items():
        kept = ChunkTable.inline((1,), {0: labels.tobytes()})
        members[name] = Array(labels.shape, labels.shape, labels.dtype, kept,
                              dimension_names=(name,))  # fmt: skip
    url = f"/made-up/{number}.nc"
    report = ScanReport(url, "hdf5", sources={url: Fingerprint(number + 1)})
    return ReferenceSet(Group(members), report)


@st.composite
def aligned(draw):
    """Return an array, its chunks, and parts that are cut where chunks are."""
    rank = draw(st.integers(1, 3))
    chunks = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    grid = [draw(st.integers(1, 5)) for _ in range(rank)]
    shape = tuple(n * c - draw(st.integers(0, c - 1)) for n, c in zip(grid, chunks, strict=True))
    values = np.arange(np.prod(shape), dtype="<i4").reshape(shape)
    coords = {f"d{k}": np.arange(n, dtype="<f8") for k, n in enumerate(shape)}
    borders = []
    for n, c, extent in zip(grid, chunks, shape, strict=True):
        borders.append([min(b * c, extent) for b in draw(cuts(n, 3))])
    sets = []
    for at in np.ndindex(*(len(b) - 1 for b in borders)):
        box = tuple(slice(b[i], b[i + 1]) for i, b in zip(at, borders, strict=True))
        own = {name: coords[name][s] for name, s in zip(coords, box, strict=True)}
        sets.append(in_memory(values[box], chunks, len(sets), own))
    return values, draw(st.permutations(sets))


@given(aligned(), st.integers(0, 2000))
def test_parts_that_are_cut_between_chunks_always_fit(made, threshold):
    values, sets = made
    cube = refmaker.combine(sets, inline_threshold=threshold)
    np.testing.assert_array_equal(decode_array(cube.group["v"]), values)
    for k, extent in enumerate(values.shape):
        np.testing.assert_array_equal(decode_array(cube.group[f"d{k}"]), np.arange(extent))
    assert len(cube.report.sources) == len(sets)


@given(aligned(), st.data())
def test_a_part_that_is_missing_is_a_hole(made, data):
    values, sets = made
    if len(sets) < 2:
        return
    lost = data.draw(st.integers(0, len(sets) - 1))
    rest = [refs for k, refs in enumerate(sets) if k != lost]
    own = tuple(decode_array(sets[lost].group[f"d{k}"]).astype(int) for k in range(values.ndim))
    try:
        cube = refmaker.combine([_filled(refs) for refs in rest], join="outer", inline_threshold=0)
    except MetadataError:
        # Without it nothing may be left that says how far a dimension goes.
        return
    labels = [decode_array(cube.group[f"d{k}"]).astype(int) for k in range(values.ndim)]
    expected = values.copy()
    expected[np.ix_(*own)] = -5
    np.testing.assert_array_equal(decode_array(cube.group["v"]), expected[np.ix_(*labels)])
    whole = all(len(found) == n for found, n in zip(labels, values.shape, strict=True))
    if whole:
        try:
            refmaker.combine(rest, inline_threshold=0)
        except MetadataError as error:
            assert "no input has it" in str(error)  # noqa: PT017 - the message is what counts
        else:
            raise AssertionError("a hole was not noticed")


def _filled(refs):
    array = replace(refs.group["v"], fill_value=np.int32(-5))
    return replace(refs, group=Group({**refs.group.members, "v": array}))


@given(aligned(), st.data())
def test_combining_in_steps_gives_the_same(made, data):
    values, sets = made
    at = data.draw(st.integers(0, len(sets)))
    halves = [part for part in (sets[:at], sets[at:]) if part]
    try:
        steps = [refmaker.combine(map(_filled, half), join="outer", inline_threshold=0)
                 for half in halves]  # fmt: skip
        cube = refmaker.combine(steps, join="outer", duplicates="error", inline_threshold=0)
    except MetadataError:
        # Halves that are no boxes cover one another's places.
        event("refused")
        return
    np.testing.assert_array_equal(decode_array(cube.group["v"]), values)


@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 5), st.data())
def test_batches_give_what_all_at_once_gives(files, chunk, batch, data):
    sets = []
    for k in range(files):
        labels = np.arange(k * chunk, (k + 1) * chunk) * 1.0
        values = np.arange(chunk * 4, dtype="<i4").reshape(chunk, 4) + k * 100
        sets.append(in_memory(values, (chunk, 2), k, {"time": labels, "x": np.arange(4.0)}))
    threshold = data.draw(st.sampled_from([0, 1000]))
    options = {"concat": "time", "inline_threshold": threshold}
    if data.draw(st.booleans()):
        sets = [_without_time(refs) for refs in sets] if chunk == 1 else sets
        options = {"coords": {"run": data.draw(st.sampled_from(["index", "pattern", "list"]))},
                   "inline_threshold": threshold} if chunk == 1 else options  # fmt: skip
    coords = options.get("coords", {})
    if coords.get("run") == "pattern":
        coords["run"] = "{run:d}.nc"
    elif coords.get("run") == "list":
        coords["run"] = list(range(len(sets)))
    whole = refmaker.combine(sets, **options)
    steps = refmaker.combine(iter(sets), batch=batch, **options)
    for path, array in whole.group.arrays():
        found = steps.group[path]
        np.testing.assert_array_equal(decode_array(found), decode_array(array))
        assert (found.dimension_names, found.attributes) == (
            array.dimension_names,
            array.attributes,
        )
        assert threshold or found.chunks.same(array.chunks)
    assert list(steps.report.sources) == list(whole.report.sources)
    assert [row.path for row in steps.report.rows] == [row.path for row in whole.report.rows]


def _without_time(refs):
    members = {name: node for name, node in refs.group.members.items() if name != "time"}
    return replace(refs, group=Group(members))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True), st.data())
def test_an_axis_made_regular_has_every_value_at_its_place(times, data):
    step = data.draw(st.sampled_from([1, 3, 0.1]))
    sets = []
    for k, time in enumerate(times):
        labels = np.array([time * step], "<f8")
        refs = in_memory(np.full((1, 2), time, "<i4"), (1, 2), k, {"time": labels,
                         "x": np.arange(2.0)})  # fmt: skip
        sets.append(_filled(refs))
    try:
        cube = refmaker.combine(sets, concat="time", regular="time")
    except MetadataError as error:
        assert "multiples" in str(error)  # noqa: PT017 - the message is what counts
        return
    labels, values = decode_array(cube.group["time"]), decode_array(cube.group["v"])
    assert set(np.array(times) * step) <= set(labels.tolist())
    for time in times:
        assert values[labels.tolist().index(time * step)].tolist() == [time, time]
    assert (values == -5).all(axis=1).sum() == len(labels) - len(times)
