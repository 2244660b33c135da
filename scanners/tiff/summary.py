"""What a reference set of TIFF images holds, as a table for people: one row per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model import Array, Group
from refmaker.model.pyramid import numbered_levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["summary"]


def summary(root: Group) -> list[dict[str, Any]]:
    """Return one row for each image of a reference set.

    Returns
    -------
    list of dict
        ``path``, ``name``, ``shape`` of the full size with the names of dimensions, ``levels``,
        ``pixel`` (its size with the unit), ``channels``, ``crs`` and ``codecs``.
    """
    return [_row(path, group) for path, group in _images(root)]


def _images(root: Group) -> Iterator[tuple[str, Group]]:
    """Yield the groups that are images: those with levels, else those with an image itself."""
    inside: list[str] = []
    for path, node in root.walk():
        if not isinstance(node, Group) or any(path.startswith(f"{p}/") or not p for p in inside):
            continue
        levelled = "multiscales" in node.attributes or bool(_reduced(node))
        alone = isinstance(node.members.get("image"), Array)
        if levelled or alone:
            yield path, node
            inside.append(path)


def _row(path: str, group: Group) -> dict[str, Any]:
    scales = group.attributes.get("multiscales")
    known: Mapping[str, Any] = scales[0] if isinstance(scales, list) and scales else {}
    told = known.get("datasets") or [{"path": level} for level in _reduced(group)]
    sets = told or [{"path": "image"}]
    first = str(sets[0]["path"])
    image = group[first]
    row: dict[str, Any] = {"path": path or "/", "name": known.get("name", "")}
    if not isinstance(image, Array):
        return row
    names = image.dimension_names or ("",) * len(image.shape)
    pairs = zip(names, image.shape, strict=True)
    row["shape"] = ", ".join(f"{name}: {n}" if name else str(n) for name, n in pairs)
    row["levels"] = len(sets)
    row["pixel"] = _pixel(known, sets[0])
    row["channels"] = ", ".join(_channels(group.attributes.get("omero")))
    row["crs"] = _crs(group, first)
    row["codecs"] = ", ".join(str(codec["id"]) for codec in image.codecs)
    return row


def _reduced(group: Group) -> list[str]:
    """Return the levels of an image without NGFF metadata; those of its mask are others."""
    return next((levels for levels in numbered_levels(group) if levels[0] == "0/image"), [])


def _pixel(known: Mapping[str, Any], level: Mapping[str, Any]) -> str:
    """Return the size of a pixel along the axes of space, where one is given."""
    axes = known.get("axes") or []
    for step in level.get("coordinateTransformations") or ():
        if step.get("type") != "scale":
            continue
        parts = [
            f"{size:.4g} {axis.get('unit', '')}".strip()
            for size, axis in zip(step["scale"], axes, strict=False)
            if axis.get("type") == "space" and axis.get("unit")
        ]
        return " x ".join(parts)
    return ""


def _channels(omero: Any) -> list[str]:
    if not isinstance(omero, dict):
        return []
    return [str(channel.get("label", "")) for channel in omero.get("channels") or ()]


def _crs(group: Group, first: str) -> str:
    """Return the name of the coordinate system that stands beside the image."""
    beside = group[first.rpartition("/")[0]] if "/" in first else group
    found = beside.members.get("spatial_ref") if isinstance(beside, Group) else None
    if not isinstance(found, Array):
        return ""
    wkt = str(found.attributes.get("crs_wkt", ""))
    return wkt.split('"')[1] if wkt.count('"') > 1 else ""
