"""Edited sets are compared with the places in their files that their arrays come from."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import refmaker
from refmaker.model import Group
from refmaker.model.origin import Origin
from tests.combine.files import dataset, write

verify = partial(refmaker.verify, isolate="never", sample=None)


def verdicts(refs):
    return {check.path: check.verdict for check in verify(refs)}


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return refmaker.scan(write(folder / "a.nc", dataset(0, 12), (3, 2, 6)), isolate="never")


def edited(refs):
    found = refs.isel(time=slice(3, 11), lat=slice(2, None)).rename(v="w", time="t", lon="x")
    found = found.expand_dims("run", 5, axis=1).assign_attrs("w", units="K")
    return found.assign_coords(lat=[1.0, 2.0])


FORMS = {"a.json": None, "b.json": "compact", "c.parquet": None}


@pytest.mark.parametrize(("name", "form"), FORMS.items())
def test_every_form_keeps_where_arrays_come_from(refs, tmp_path, name, form):
    made = edited(refs)
    made.write(tmp_path / name, format=form)
    found = refmaker.read(tmp_path / name)
    assert {p: a.origin for p, a in found.group.arrays()} == {
        p: a.origin for p, a in made.group.arrays()
    }
    expected = {"w": "equal", "t": "equal", "x": "equal", "lat": "given", "run": "given"}
    assert verdicts(found) == expected
    # Once more, and in another form.
    found.select("w").write(tmp_path / "again.json")
    assert verdicts(tmp_path / "again.json") == expected
    checks = {check.path: check for check in verify(tmp_path / "again.json")}
    assert checks["w"].edited == ("units",)
    assert checks["lat"].as_dict()["given"] == 1
    assert not checks["lat"].compared


def tampered(refs, path, change):
    return replace(refs, group=refs.group.map_paths(lambda at, a: change(a) if at == path else a))


def test_another_part_than_it_says_is_different(refs):
    made = edited(refs)

    def moved(array):
        return replace(array, origin=replace(array.origin, start=(6, 2, 0)))

    # There are 12 times, of which only 6 stand behind the sixth.
    assert verdicts(tampered(made, "w", moved))["w"] == "different"

    def swapped(array):
        table = array.chunks
        return replace(array, chunks=replace(table, offset=np.roll(table.offset, 1)))

    assert verdicts(tampered(made, "w", swapped))["w"] == "different"
    other = tampered(made, "x", lambda a: replace(a, origin=replace(a.origin, path="lat")))
    assert verdicts(other)["x"] == "not compared"


def test_attributes_that_no_edit_has_set_are_compared(refs):
    made = edited(refs)
    odd = tampered(made, "w", lambda a: replace(a, attributes={**a.attributes, "add_offset": 3}))
    (check,) = (check for check in verify(odd) if check.path == "w")
    assert check.verdict == "different"
    assert "add_offset" in check.metadata


def test_an_array_that_is_in_no_file_is_not_called_equal(refs):
    made = refs.assign_coords(extra=("time", np.arange(12)))
    assert verdicts(made)["extra"] == "given"
    bare = Group({name: replace(a, origin=None) for name, a in made.group.members.items()})
    assert verdicts(replace(made, group=bare))["extra"] == "not compared"


@pytest.fixture(scope="module", params=[1024, 0], ids=["inlined", "referenced"])
def months(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("many")
    paths = [write(folder / f"{k}.nc", dataset(6 * k, 6), (3, 4, 6)) for k in range(3)]
    return [
        refmaker.scan(path, chunk_bytes=None, inline_threshold=request.param, isolate="never")
        for path in paths
    ]


def test_edited_inputs_combined(months, tmp_path):
    inputs = [
        one.isel(time=slice(3, None)).rename(v="w", time="t").expand_dims("level", 850, axis=1)
        for one in months
    ]
    cube = refmaker.combine(inputs, concat="t")
    assert cube.group["w"].shape == (9, 1, 4, 6)
    cube.write(tmp_path / "cube.json")
    found = verdicts(tmp_path / "cube.json")
    assert found.pop("level") == "given"
    assert set(found.values()) == {"equal"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r.isel(time=slice(3, 14)),
        lambda r: r.isel(time=slice(6, 12)),
        lambda r: r.rename(v="w", time="t", lat="y"),
        lambda r: r.isel(time=slice(12, None)).rename(time="t"),
        lambda r: r.expand_dims("run", 1, axis=1),
        lambda r: r.select("time").isel(time=slice(2, 11)),
        lambda r: refmaker.load(r, "v").isel(time=7),
        lambda r: r.select("time").isel(time=7),
    ],
)
def test_combined_sets_edited(months, edit, tmp_path):
    cube = edit(refmaker.combine(months))
    cube.write(tmp_path / "cube.json")
    found = verdicts(tmp_path / "cube.json")
    assert set(found.values()) <= {"equal", "given"}, found


def test_appending_to_an_edited_set(months, tmp_path):
    first = [one.rename(v="w").isel(time=slice(0, 3)) for one in months]
    refmaker.combine(first[:2]).write(tmp_path / "cube.json")
    refmaker.append(tmp_path / "cube.json", first[2:])
    assert set(verdicts(tmp_path / "cube.json").values()) == {"equal"}


@pytest.mark.parametrize(
    "origin",
    [
        Origin.given(),
        Origin("zz", (-3, -2, -1), (0, 0, 0), (12, 4, 6)),
        Origin("v", (-9, -8, -7), (0, 0, 0), (12, 4, 6)),
        Origin("v", (None, None, None), (0, 0, 0), (12, 4, 6)),
        Origin("v", (-3, -2, -1), (9, 0, 0), (12, 4, 6)),
        Origin("v", (-3,), (0,), (12,)),
        Origin("time", (-1,), (0,), (12,)),
    ],
)
def test_origins_that_are_not_true(refs, origin, tmp_path):
    """Whatever a document says of where an array comes from: no crash, and wrong is not equal."""
    table = refs.group["v"].chunks
    order = np.roll(np.arange(table.referenced), 1)
    wrong = replace(table, offset=table.offset[order], length=table.length[order])
    for chunks, bad in ((table, False), (wrong, True)):
        odd = tampered(refs, "v", lambda a, c=chunks: replace(a, chunks=c, origin=origin))
        odd.write(tmp_path / "odd.json")
        found = verdicts(tmp_path / "odd.json")
        assert found["v"] in ({"different", "not compared"} | (set() if bad else {"equal"}))
