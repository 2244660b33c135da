"""Images and volumes of a set: levels, sizes of pixels, spacing and orientation of voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, Group
from refmaker.model.ngff_images import (
    axes_of,
    channels_of,
    images_of,
    level_paths,
    placement,
)
from refmaker.model.pyramid import numbered_levels
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
        known = images_of(node.attributes)
        for one in known:
            levels = _levels(path, node, level_paths(one), one)
            if levels:
                found.append(_image(path, one, levels, channels_of(node.attributes)))
        reduced = [] if known else numbered_levels(node)
        found += [_image(path, {}, _levels(path, node, paths, {}), []) for paths in reduced]
    return found


def _levels(
    home: str, group: Group, paths: Sequence[str], image: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found = []
    for path in paths:
        try:
            array = group[path]
        except KeyError:
            continue
        if isinstance(array, Array):
            placed = placement(image, path, len(array.shape))
            found.append(
                {
                    "path": joined_path(home, path),
                    "shape": list(array.shape),
                    "chunk_shape": list(array.chunk_shape),
                    "dimensions": list(array.dimension_names or ()) or None,
                    "scale": None if placed is None else placed[0],
                }
            )
    return found


def _image(
    path: str,
    told: Mapping[str, Any],
    levels: list[dict[str, Any]],
    channels: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    return {
        "path": path or "/",
        "name": str(told.get("name") or ""),
        "axes": [
            {name: str(axis.get(name) or "") for name in ("name", "type", "unit")}
            for axis in axes_of(told)
        ],
        "levels": levels,
        "channels": [str(channel.get("label") or "") for channel in channels],
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
