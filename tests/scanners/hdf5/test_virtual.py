"""Virtual datasets: whole chunks of sources in new places, or a refusal that names them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock

RNG = np.random.default_rng(3)


def source(path, shape, chunks=None, dtype="f4", name="d", **options):
    data = (RNG.random(shape) * 100).astype(dtype)
    with h5py.File(path, "a") as f:
        f.create_dataset(name, data=data, chunks=chunks, **options)
    return data


def stacked(path, names, shape, dtype="f4", *, fill=None):
    """Join files along a new first dimension."""
    layout = h5py.VirtualLayout((len(names), *shape), dtype)
    for i, name in enumerate(names):
        layout[i] = h5py.VirtualSource(name, "d", shape)
    with h5py.File(path, "w", libver="latest") as f:
        f.create_virtual_dataset("v", layout, fillvalue=fill)
        f["plain"] = 3


def joined(path, names, shape, dtype="f4", *, fill=None, total=None):
    """Join files along the first dimension."""
    rows = shape[0]
    layout = h5py.VirtualLayout((total or rows * len(names), *shape[1:]), dtype)
    for i, name in enumerate(names):
        layout[i * rows : (i + 1) * rows] = h5py.VirtualSource(name, "d", shape)
    with h5py.File(path, "w", libver="latest") as f:
        f.create_virtual_dataset("v", layout, fillvalue=fill)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "shuffle": True}])
def test_aligned(check, tmp_path, options):
    names = [f"s{i}.h5" for i in range(3)]
    data = [source(tmp_path / n, (20, 30), (5, 30), **options) for n in names]
    joined(tmp_path / "v.h5", names, (20, 30))
    found = check(tmp_path / "v.h5")
    np.testing.assert_array_equal(found["v"], np.concatenate(data))
    assert {str(tmp_path / n) for n in names} <= set(found.report.sources)


def test_contiguous_sources(check, tmp_path):
    names = [f"s{i}.h5" for i in range(3)]
    for n in names:
        source(tmp_path / n, (20, 30))
    joined(tmp_path / "v.h5", names, (20, 30))
    check(tmp_path / "v.h5")


def test_last_chunks_over_the_edge_of_the_last_source(check, tmp_path):
    names = [f"s{i}.h5" for i in range(2)]
    for n in names:
        source(tmp_path / n, (20, 33), (5, 10))
    joined(tmp_path / "v.h5", names, (20, 33))
    check(tmp_path / "v.h5")


def test_same_file(check, tmp_path):
    path = tmp_path / "v.h5"
    data = source(path, (20, 30), (5, 30))
    layout = h5py.VirtualLayout((40, 30), "f4")
    layout[:20] = h5py.VirtualSource(".", "d", (20, 30))
    layout[20:] = h5py.VirtualSource(str(path), "d", (20, 30))
    with h5py.File(path, "a", libver="latest") as f:
        f.create_virtual_dataset("v", layout)
    found = check(path)
    np.testing.assert_array_equal(found["v"], np.concatenate([data, data]))


def test_gaps_are_the_fill_value(check, tmp_path):
    names = [f"s{i}.h5" for i in range(2)]
    for n in names:
        source(tmp_path / n, (20, 30), (5, 30))
    joined(tmp_path / "v.h5", names, (20, 30), fill=-5, total=60)
    check(tmp_path / "v.h5")


def refused(check, path, word):
    found = check(path, {"/v": "virtual"})
    [row] = found.report.skipped
    assert word in row.reason
    return row.reason


def test_unaligned_is_refused_by_name(check, tmp_path):
    names = [f"s{i}.h5" for i in range(2)]
    for n in names:
        source(tmp_path / n, (22, 30), (5, 30))
    joined(tmp_path / "v.h5", names, (22, 30))
    refused(check, tmp_path / "v.h5", "s0.h5")


def test_different_filters_are_refused(check, tmp_path):
    source(tmp_path / "s0.h5", (20, 30), (5, 30))
    source(tmp_path / "s1.h5", (20, 30), (5, 30), compression="gzip")
    joined(tmp_path / "v.h5", ["s0.h5", "s1.h5"], (20, 30))
    refused(check, tmp_path / "v.h5", "s1.h5")


def test_conversion_is_refused(check, tmp_path):
    source(tmp_path / "s0.h5", (20, 30), (5, 30))
    joined(tmp_path / "v.h5", ["s0.h5"], (20, 30), dtype="f8")
    refused(check, tmp_path / "v.h5", "float64")


def test_new_dimension(check, tmp_path):
    names = [f"s{i}.h5" for i in range(3)]
    for n in names:
        source(tmp_path / n, (20, 30), (5, 30))
    stacked(tmp_path / "v.h5", names, (20, 30))
    found = check_or_refuse(check, tmp_path / "v.h5")
    assert found


def check_or_refuse(check, path):
    """Whether a mapping can be expressed is free; that it is not wrong is not."""
    _, report = scan(path)
    codes = {row.path: row.code for row in report.skipped}
    assert codes in ({}, {"/v": "virtual"})
    return check(path, codes)


def test_missing_source_is_not_filled(tmp_path):
    source(tmp_path / "s0.h5", (20, 30), (5, 30))
    joined(tmp_path / "v.h5", ["s0.h5", "gone.h5"], (20, 30))
    group, report = scan(tmp_path / "v.h5")
    assert "v" not in dict(group.arrays())
    [row] = report.skipped
    assert "gone.h5" in row.reason


def test_sources_of_sources(check, tmp_path):
    source(tmp_path / "s0.h5", (20, 30), (5, 30))
    joined(tmp_path / "d.h5", ["s0.h5"], (20, 30))
    with h5py.File(tmp_path / "d.h5", "a") as f:
        f["d"] = f["v"]
    joined(tmp_path / "v.h5", ["d.h5"], (20, 30))
    check_or_refuse(check, tmp_path / "v.h5")


def test_virtual_ring(tmp_path):
    for one, other in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        layout = h5py.VirtualLayout((20, 30), "f4")
        layout[...] = h5py.VirtualSource(other, "d", (20, 30))
        with h5py.File(tmp_path / one, "w", libver="latest") as f:
            f.create_virtual_dataset("d", layout)
    group, report = scan(tmp_path / "a.h5")
    assert not dict(group.arrays())
    assert [row.path for row in report.skipped] == ["/d"]


def test_of_itself(tmp_path):
    layout = h5py.VirtualLayout((20, 30), "f4")
    layout[...] = h5py.VirtualSource(".", "v", (20, 30))
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as f:
        f.create_virtual_dataset("v", layout)
    group, report = scan(tmp_path / "v.h5")
    assert not dict(group.arrays())
    assert [row.path for row in report.skipped] == ["/v"]


@pytest.mark.parametrize("kind", ["strided", "interleaved", "columns", "part", "overlap"])
def test_shapes_of_mappings(check, tmp_path, kind):
    source(tmp_path / "s.h5", (20, 30), (5, 5))
    with_source = h5py.VirtualSource("s.h5", "d", (20, 30))
    layout = h5py.VirtualLayout((40, 30), "f4")
    if kind == "strided":
        layout[:20:2] = with_source[::2]
    elif kind == "interleaved":
        layout[::2] = with_source
    elif kind == "columns":
        layout[10:30, 5:15] = with_source[:, 15:25]
    elif kind == "part":
        layout[5:15] = with_source[10:20]
    else:
        layout[:20] = with_source
        layout[10:30] = with_source
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as f:
        f.create_virtual_dataset("v", layout, fillvalue=-1)
    found = check_or_refuse(check, tmp_path / "v.h5")
    if kind in ("columns", "part"):
        assert "v" in dict(found.group.arrays())


def test_numbered_series(check, tmp_path):
    for i in range(4):
        source(tmp_path / f"s_{i}.h5", (1, 30), (1, 30))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    unlimited = h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple((0, 30), (unlimited, 30))
    space.select_hyperslab((0, 0), (unlimited, 1), (1, 1), (1, 30))
    plist.set_virtual(space, b"s_%b.h5", b"d", h5py.h5s.create_simple((1, 30)))
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as f:
        shape = h5py.h5s.create_simple((4, 30), (unlimited, 30))
        h5py.h5d.create(f.id, b"v", h5py.h5t.IEEE_F32LE, shape, plist)
    check_or_refuse(check, tmp_path / "v.h5")


@pytest.mark.parametrize("settings", [{}, {"missing-sources": "fill"}])
@pytest.mark.parametrize("series", [False, True])
def test_a_source_that_is_lost_is_not_missing(check, tmp_path, series, settings):
    """Behind a link that is not followed: HDF5 reads it, so its region is no fill values."""
    source(tmp_path / "other.h5", (1, 30), (1, 30))
    source(tmp_path / "s_0.h5", (1, 30), (1, 30))
    with h5py.File(tmp_path / "s_1.h5", "w") as f:
        f["d"] = h5py.ExternalLink("other.h5", "d")
    path = tmp_path / "v.h5"
    if series:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        unlimited = h5py.h5s.UNLIMITED
        space = h5py.h5s.create_simple((0, 30), (unlimited, 30))
        space.select_hyperslab((0, 0), (unlimited, 1), (1, 1), (1, 30))
        plist.set_virtual(space, b"s_%b.h5", b"d", h5py.h5s.create_simple((1, 30)))
        with h5py.File(path, "w", libver="latest") as f:
            shape = h5py.h5s.create_simple((2, 30), (unlimited, 30))
            h5py.h5d.create(f.id, b"v", h5py.h5t.IEEE_F32LE, shape, plist)
    else:
        joined(path, ["s_0.h5", "s_1.h5"], (1, 30))
    with h5py.File(path) as f:
        truth = f["v"][:]
    assert (truth != 0).sum() > 30
    _, report = scan(path, options=ScanOptions(settings=settings))
    (lost,) = (row for row in report.skipped if row.path == "/v")
    assert "other.h5" in lost.reason
    assert "follow_external" in lost.reason
    group, report = scan(path, options=ScanOptions(settings=settings, follow_external=True))
    assert not report.skipped
    assert np.array_equal(open_stock(group)["v"][:], truth)


def test_a_series_of_which_nothing_is_there_yet_is_told(check, tmp_path):
    """Files that may still come are part of the account: its result must not be kept."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    unlimited = h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple((2, 30), (unlimited, 30))
    space.select_hyperslab((0, 0), (1, 1), (1, 1), (1, 30))
    plist.set_virtual(space, b".", b"own", h5py.h5s.create_simple((1, 30)))
    space.select_hyperslab((1, 0), (unlimited, 1), (1, 1), (1, 30))
    plist.set_virtual(space, b"s_%b.h5", b"d", h5py.h5s.create_simple((1, 30)))
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as f:
        f.create_dataset("own", data=np.ones((1, 30), "f4"), chunks=(1, 30))
        h5py.h5d.create(f.id, b"v", h5py.h5t.IEEE_F32LE, space, plist)
    found = check_or_refuse(check, tmp_path / "v.h5")
    assert "v" in dict(found.group.arrays())
    assert found.report.missing == [str(tmp_path / "s_0.h5")]


def test_unlimited_sources(check, tmp_path):
    source(tmp_path / "s.h5", (20, 30), (5, 30), maxshape=(None, 30))
    layout = h5py.VirtualLayout((20, 30), "f4", maxshape=(None, 30))
    from_source = h5py.VirtualSource("s.h5", "d", (20, 30), maxshape=(None, 30))
    layout[: h5py.h5s.UNLIMITED] = from_source[: h5py.h5s.UNLIMITED]
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as f:
        f.create_virtual_dataset("v", layout)
    check_or_refuse(check, tmp_path / "v.h5")


def _pieces(folder, there, fillvalue=-7):
    """Write a virtual dataset of three sources, of which some are there."""
    layout = h5py.VirtualLayout((12, 100), "i4")
    for i in range(3):
        layout[4 * i : 4 * i + 4] = h5py.VirtualSource(f"{i}.h5", "d", (4, 100))
        if i in there:
            with h5py.File(folder / f"{i}.h5", "w") as f:
                data = np.full((4, 100), i, "i4")
                f.create_dataset("d", data=data, chunks=(2, 50), compression="gzip")
    with h5py.File(folder / "v.h5", "w") as f:
        f.create_virtual_dataset("v", layout, fillvalue=fillvalue)
        f["x"] = 1
    return folder / "v.h5"


@pytest.mark.parametrize("there", [(0, 2), (1,), ()])
@pytest.mark.parametrize("fillvalue", [-7, 0])
def test_missing_sources_cost_their_regions_when_asked(tmp_path, there, fillvalue):
    path = _pieces(tmp_path, there, fillvalue)
    _, report = scan(path)
    [lost] = report.skipped
    assert "`settings={'missing-sources': 'fill'}`" in lost.reason
    group, report = scan(path, options=ScanOptions(settings={"missing-sources": "fill"}))
    assert not report.skipped
    assert len(report.missing) == 3 - len(there)
    assert sum("is not there" in text for text in report.warnings) == 3 - len(there)
    with h5py.File(path) as f:
        np.testing.assert_array_equal(open_stock(group)["v"][...], f["v"][...])


def test_sources_without_the_dataset_are_missing_too(tmp_path):
    path = _pieces(tmp_path, (0, 1, 2))
    with h5py.File(tmp_path / "1.h5", "w") as f:
        f["another"] = 1
    assert [row.path for row in scan(path)[1].skipped] == ["/v"]
    group, _ = scan(path, options=ScanOptions(settings={"missing-sources": "fill"}))
    with h5py.File(path) as f:
        np.testing.assert_array_equal(open_stock(group)["v"][...], f["v"][...])
