"""Images and volumes of a set: levels, sizes of pixels, spacing and orientation of voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, Group
from refmaker.model.pyramid import reduced_levels
from refmaker.model.tree import joined_path
from refmaker.scanning.ngff_volumes import voxels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["images", "volumes"]

_TOWARDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
"""Where x, y and z of LPS go: down, and up."""
_VOLUMES = (("affine_ras",), ("voxel_size", "voxel_size_units"), ("spacing", "modality"))
"""Attributes that together tell how voxels lie."""
_OBLIQUE = 1e-3
"""Share of a step beside the axis it goes along, from which it is called oblique."""


def images(nodes: Mapping[str, Array | Group]) -> list[dict[str, Any]]:
    """Return images that NGFF describes, or with smaller copies; see `refmaker.describe`."""
    found = []
    for path, node in nodes.items():
        if not isinstance(node, Group):
            continue
        described = _described(node)
        told = described.get("multiscales")
        known = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        for one in known:
            paths = _paths(one)
            levels = _levels(path, node, paths)
            if levels:
                found.append(_image(path, one, levels, described))
        reduced = [] if known else reduced_levels(node)
        if len(reduced) > 1:
            levels = _levels(path, node, [(level, None) for level in reduced])
            found.append(_image(path, {}, levels, {}))
    return found


def _described(group: Group) -> Mapping[str, Any]:
    later = group.attributes.get("ome")
    return later if isinstance(later, dict) else group.attributes


def _paths(image: Mapping[str, Any]) -> list[tuple[str, list[float] | None]]:
    """Return path and scale of each level that NGFF names; what is of another form is none."""
    found = []
    datasets = image.get("datasets")
    for level in datasets if isinstance(datasets, list) else ():
        path = level.get("path") if isinstance(level, dict) else None
        if isinstance(path, str):
            found.append((path, _scale(image, level)))
    return found


def _scale(image: Mapping[str, Any], level: Mapping[str, Any]) -> list[float] | None:
    """Return the sizes of a level's pixels: its own scale, times that of the whole image."""
    own = _scaling(level.get("coordinateTransformations"))
    whole = _scaling(image.get("coordinateTransformations"))
    if own is None or whole is None:
        return own or whole
    return [a * b for a, b in zip(own, whole, strict=True)] if len(own) == len(whole) else None


def _scaling(steps: Any) -> list[float] | None:
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, dict):
            continue
        found = step.get("scale") if step.get("type") == "scale" else None
        if isinstance(found, list) and all(isinstance(one, int | float) for one in found):
            return [float(one) for one in found]
        inner = _scaling(step.get("transformations"))
        if inner is not None:
            return inner
    return None


def _levels(
    home: str, group: Group, paths: Sequence[tuple[str, list[float] | None]]
) -> list[dict[str, Any]]:
    found = []
    for path, scale in paths:
        try:
            array = group[path]
        except KeyError:
            continue
        if isinstance(array, Array):
            fits = scale is not None and len(scale) == len(array.shape)
            found.append(
                {
                    "path": joined_path(home, path),
                    "shape": list(array.shape),
                    "chunk_shape": list(array.chunk_shape),
                    "dimensions": list(array.dimension_names or ()) or None,
                    "scale": scale if fits else None,
                }
            )
    return found


def _image(
    path: str,
    told: Mapping[str, Any],
    levels: list[dict[str, Any]],
    described: Mapping[str, Any],
) -> dict[str, Any]:
    systems = told.get("coordinateSystems")
    system = systems[0] if isinstance(systems, list) and systems else {}
    axes = told.get("axes") or (system.get("axes") if isinstance(system, dict) else None)
    omero = described.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    return {
        "path": path or "/",
        "name": str(told.get("name") or ""),
        "axes": [
            {name: str(axis.get(name) or "") for name in ("name", "type", "unit")}
            for axis in (axes if isinstance(axes, list) else ())
            if isinstance(axis, dict)
        ],
        "levels": levels,
        "channels": [
            str(channel.get("label") or "")
            for channel in (channels if isinstance(channels, list) else ())
            if isinstance(channel, dict)
        ],
    }


def volumes(nodes: Mapping[str, Array | Group]) -> list[dict[str, Any]]:
    """Return how the voxels of volumes lie; see `refmaker.describe`."""
    found = []
    for path, array in nodes.items():
        if not isinstance(array, Array):
            continue
        if not any(all(name in array.attributes for name in names) for names in _VOLUMES):
            continue
        try:
            voxels = voxels_of(array)
        except (TypeError, ValueError):
            continue  # attributes of another meaning under these names
        if not any(voxels.steps):
            continue
        even = array.attributes.get("z_uniform")
        steps = [
            None if even is False and name.startswith("z") else step
            for name, step in zip(voxels.dimensions, voxels.steps, strict=True)
        ]
        sizes = dict(zip(array.dimension_names or (), array.shape, strict=True))
        towards, oblique = _towards(voxels.affine, len(voxels.dimensions))
        found.append(
            {
                "path": path,
                "dimensions": voxels.dimensions,
                "shape": [sizes[name] for name in voxels.dimensions],
                "spacing": steps,
                "unit": voxels.unit or None,
                "towards": towards,
                "oblique": oblique,
                "origin_lps": None if voxels.affine is None else voxels.affine[:3, 3].tolist(),
                "even": even if isinstance(even, bool) else None,
            }
        )
    return found


def _towards(
    affine: NDArray[np.float64] | None, count: int
) -> tuple[list[str] | None, bool | None]:
    """Return where indices along each dimension go in the body, and whether not quite there."""
    if affine is None or count != 3 or affine.shape != (4, 4):
        return None, None
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(columns).all() and lengths.all()):
        return None, None
    unit = columns / lengths
    along = abs(unit).argmax(axis=0)
    if len(set(along.tolist())) != 3:
        return None, None
    share = abs(unit).max(axis=0)
    words = [_TOWARDS[axis][int(unit[axis, at] > 0)] for at, axis in enumerate(along.tolist())]
    return words, bool((1 - share).max() > _OBLIQUE)
