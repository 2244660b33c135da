"""Images by NGFF metadata of any version and form: `info`, the page and napari see the same."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from refmaker.model import Array, ChunkTable, Group
from refmaker.model.ngff_images import axes_of, channels_of, images_of, level_paths, placement
from refmaker.publish.description.images import images
from refmaker.publish.images import pictures
from refmaker.publish.pictures.pyramids import pyramids

AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
OWN = [{"type": "scale", "scale": [2, 3]}, {"type": "translation", "translation": [1, 1]}]
WHOLE = [{"type": "scale", "scale": [10, 10]}]


def image(*levels, **more):
    """Return an image of two levels; more replaces what it has."""
    datasets = [{"path": path, "coordinateTransformations": OWN} for path in levels]
    told = {"axes": AXES, "datasets": datasets, "coordinateTransformations": WHOLE}
    return {"name": "i", **told, **more}


def test_places_are_those_of_the_level_then_of_all():
    assert placement(image("0"), "0", 2) == ([20, 30], [10, 10])
    assert placement(image("0"), "0", 3) is None
    assert placement(image("0", coordinateTransformations=None), "0", 2) == ([2, 3], [1, 1])
    assert placement({"datasets": [{"path": "0"}]}, "0", 2) is None
    sequence = [{"type": "sequence", "transformations": OWN, "output": {"name": "physical"}}]
    later = {
        "datasets": [{"path": "0", "coordinateTransformations": sequence}],
        "coordinateSystems": [{"name": "physical", "axes": AXES}],
    }
    assert placement(later, "0", 2) == ([2, 3], [1, 1])
    assert axes_of(later) == AXES


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("paths", [["0", "1"], ["0", "gone", "1"], ["gone", "1"], ["gone"]])
def test_all_readers_see_the_same_levels(paths, within):
    told = {"multiscales": [7, image(*paths)], "omero": {"channels": [{"label": "a"}, 7]}}
    attributes = {"ome": told} if within else told
    arrays = {
        name: Array(
            (size, size), (size, size), np.dtype("u1"),
            ChunkTable.inline((1, 1), {0: bytes(size * size)}), dimension_names=("y", "x"),
        )
        for name, size in (("0", 4), ("1", 2))
    }  # fmt: skip
    root = Group({"g": Group(arrays, attributes)})
    data = xr.Dataset(
        {n: ((f"y{n}", f"x{n}"), np.zeros(a.shape, "u1")) for n, a in arrays.items()},
        attrs=attributes,
    )
    expected = [f"g/{path}" for path in paths if path != "gone"]
    informed = images(dict(root.walk()))
    drawn = [one for one in pyramids(root) if one.name == "i"]
    shown = [one for one in pictures({"": xr.Dataset(), "g": data}, root) if one.name == "i"]
    if not expected:
        assert not informed
        assert not drawn
        assert not shown
        return
    assert [level["path"] for level in informed[0]["levels"]] == expected
    assert drawn[0].levels == tuple(expected)
    assert shown[0].paths == expected
    assert shown[0].scale == informed[0]["levels"][0]["scale"] == [20, 30]
    assert informed[0]["channels"] == ["a"]
    assert drawn[0].channels == (("a", ""),)
    assert shown[0].channels == [{"label": "a"}]


@pytest.mark.parametrize(
    "told",
    [
        {"multiscales": "text"}, {"ome": [1]}, {"multiscales": [{"datasets": [7, {"path": 7}]}]},
        {"multiscales": [{"datasets": [{"path": "a"}], "axes": 7, "coordinateSystems": [7]}]},
        {"multiscales": [image("a", coordinateTransformations=[7, {"scale": "x"}])], "omero": 7},
    ],
)  # fmt: skip
def test_other_forms_are_as_if_they_were_not_there(told):
    assert channels_of(told) == []
    for one in images_of(told):
        for path in level_paths(one):
            placement(one, path, 2)
        assert axes_of(one) in ([], AXES)
    data = xr.Dataset({"a": (("y", "x"), np.zeros((2, 2), "u1"))}, attrs=told)
    (shown,) = pictures({"": data}, Group())
    assert shown.paths == ["a"]
