"""The levels of a slide as one multiscale image: attributes of NGFF, and coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanning.ngff import Axis, Level, image_metadata, multiscale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model import Array, Group
    from refmaker.scanners.dicom.matrix import Tiling

__all__ = ["axes", "pyramid_attributes"]

_MICRO = 1000.0
"""Micrometres of a millimetre."""
_KINDS = {"c": "channel", "z": "space", "y": "space", "x": "space"}
_RGB = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
_COLORS = ("FF0000", "00FF00", "0000FF", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")
_COORDINATES = 4096
"""Rows or columns up to which their coordinates are written one by one."""


def pyramid_attributes(
    paths: Sequence[str], arrays: Sequence[Array], tiles: Sequence[Tiling], version: str
) -> dict[str, Any]:
    """Return the attributes of a group that holds the levels of an image.

    Parameters
    ----------
    paths : sequence of str
        Of the arrays, the largest first, below the group.
    arrays, tiles : sequences
        The levels.
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.

    Returns
    -------
    dict
        ``multiscales`` and ``omero``; nothing if NGFF has no place for the dimensions.
    """
    names = arrays[0].dimension_names or ()
    order = [name for name in ("c", "z", "y", "x") if name in names]
    if list(names) != order or any(array.dimension_names != names for array in arrays):
        return {}
    base = _steps(tiles[0])
    known = base is not None
    levels = []
    for path, tile in zip(paths, tiles, strict=True):
        steps = _steps(tile) if known else None
        if steps is None:
            # Without sizes of pixels, those of the largest level are the unit.
            ratio = {
                "y": tiles[0].rows / tile.rows,
                "x": tiles[0].columns / tile.columns,
            }
            steps, first = {"z": 1.0, **ratio}, {"z": 1.0, "y": 1.0, "x": 1.0}
        else:
            first = base or steps
        scale = tuple(steps.get(name, 1.0) for name in names)
        # A level's first pixel covers several of the largest: its centre lies further in.
        shift = tuple((steps[n] - first[n]) / 2 if n in "yx" else 0.0 for n in names)
        levels.append(Level(path, scale, shift))
    described = [
        Axis(name, _KINDS[name], "micrometer" if known and name != "c" else "") for name in names
    ]
    image = multiscale("slide", described, levels, version)
    channels = _channels(arrays[0], tiles[0])
    model = "color" if len(channels) > 1 else "greyscale"
    omero = {"channels": channels, "rdefs": {"model": model}} if channels else {}
    return image_metadata(version, multiscales=[image], omero=omero)


def _steps(tiles: Tiling) -> dict[str, float] | None:
    """Return the distance of pixels along each axis in micrometres."""
    if tiles.spacing is None:
        return None
    depths = tiles.depths
    apart = float(depths[1] - depths[0]) * _MICRO if len(depths) > 1 else 1.0
    return {"z": apart, "y": tiles.spacing[0] * _MICRO, "x": tiles.spacing[1] * _MICRO}


def _channels(array: Array, tiles: Tiling) -> list[dict[str, Any]]:
    if "c" not in (array.dimension_names or ()) or array.dtype.kind not in "iu":
        return []
    top = int(np.iinfo(array.dtype).max)
    window = {"min": 0, "max": top, "start": 0, "end": top}
    count = array.shape[0]
    named = [(f"{k + 1}", _COLORS[k % len(_COLORS)]) for k in range(count)]
    if not tiles.kept[0] and count == len(_RGB):
        named = list(_RGB)
    return [
        {"label": label, "color": color, "active": True, "window": dict(window)}
        for label, color in named
    ]


def axes(array: Array, tiles: Tiling) -> dict[str, Array | Group]:
    """Return the coordinates of one level.

    Micrometres, where the size of pixels is known; of tiles that stay in a row, the pixel where
    each begins, and the number of its optical path or segment and focal plane.
    """
    found: dict[str, Array | Group] = {}
    if not tiles.regular:
        return {
            "row": inline_array(tiles.corner[:, 0], ("frame",)),
            "column": inline_array(tiles.corner[:, 1], ("frame",)),
            "plane": inline_array(tiles.plane, ("frame",)),
        }
    if tiles.spacing is None:
        return found
    names = array.dimension_names or ()
    for name, step in zip("yx", tiles.spacing, strict=True):
        extent = array.shape[names.index(name)]
        if extent <= _COORDINATES:
            along = np.arange(extent) * (step * _MICRO)
            found[name] = inline_array(along, (name,), {"units": "micrometer"})
    if "z" in names and len(tiles.depths) == array.shape[names.index("z")]:
        depth = np.array(tiles.depths) * _MICRO
        found["z"] = inline_array(depth, ("z",), {"units": "micrometer"})
    return found
