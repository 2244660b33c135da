"""What a reference set of DICOM objects holds, as a table for people: one row per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model import Group

__all__ = ["summary"]


def summary(root: Group) -> list[dict[str, Any]]:
    """Return one row for each image of a reference set.

    Parameters
    ----------
    root : Group
        As the scanner made it.

    Returns
    -------
    list of dict
        ``path``, ``modality``, ``shape`` with the names of dimensions, ``spacing`` in
        millimetres along the last of them (``?`` where it is not known), ``units`` of the
        values, and ``oddities``: what is unusual about its geometry.
    """
    return [
        {
            "path": path,
            "modality": array.attributes.get("modality", ""),
            "shape": _shape(array.dimension_names, array.shape),
            "spacing": _spacing(array.attributes.get("spacing")),
            "units": array.attributes.get("units", ""),
            "oddities": "; ".join(_oddities(array.attributes)),
        }
        for path, array in root.arrays()
        if path.rpartition("/")[2].startswith("image") and len(array.shape) > 1
    ]


def _shape(names: Sequence[str] | None, shape: Sequence[int]) -> str:
    if names is None:
        return " x ".join(map(str, shape))
    return ", ".join(f"{name}: {extent}" for name, extent in zip(names, shape, strict=True))


def _spacing(found: Any) -> str:
    if not isinstance(found, list | tuple):
        return ""
    return " x ".join("?" if value is None else f"{value:.4g}" for value in found)


def _oddities(attributes: Any) -> list[str]:
    found = [str(text) for text in attributes.get("oddities") or ()]
    tilt = attributes.get("gantry_tilt_deg")
    if tilt:
        found.append(f"gantry tilt {tilt:g} degrees")
    missing = attributes.get("missing_slices")
    if missing:
        count = missing if isinstance(missing, int) else len(missing)
        found.append(f"{count} missing slices")
    if attributes.get("z_uniform") is False:
        found.append("slices at unequal distances")
    return found
