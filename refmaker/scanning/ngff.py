"""OME-NGFF metadata of images and volumes, in the versions 0.4, 0.5 and 0.6.

Implements ``multiscales``, ``omero`` and ``image-label`` of NGFF 0.4, of 0.5, which has them under
the key ``ome`` of Zarr version 3, and of 0.6, which has coordinate systems (RFC-5) and can say by
an affine where a volume lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["VERSIONS", "Axis", "Level", "image_metadata", "multiscale", "rank_problem"]

VERSIONS = ("0.4", "0.5", "0.6")
_INTRINSIC, _PATIENT = "physical", "LPS"
"""Coordinate systems: along the axes of the image; in the patient, x towards left, y towards
posterior, z towards superior."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image.

    Parameters
    ----------
    name : str
        That of the arrays' dimension.
    kind : str
        ``time``, ``channel``, ``space``, another word, or empty.
    unit : str
        As UDUNITS spells it; empty if it has none.
    """

    name: str
    kind: str = ""
    unit: str = ""

    def document(self) -> dict[str, str]:
        """Return the axis as NGFF has it."""
        found = {"name": self.name, "type": self.kind, "unit": self.unit}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Level:
    """One array of an image.

    Parameters
    ----------
    path : str
        Of the array, below the image's group.
    scale : tuple of float
        Distance of its pixels along each axis.
    translation : tuple of float
        Place of its first pixel; empty if that is 0 along all of them.
    """

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...] = ()

    def transformations(self, version: str) -> list[dict[str, Any]]:
        """Return the coordinate transformations of the array."""
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(self.scale)}]
        if self.translation:
            steps.append({"type": "translation", "translation": list(self.translation)})
        if version != "0.6":
            return steps
        one = steps[0] if len(steps) == 1 else {"type": "sequence", "transformations": steps}
        return [{**one, "input": {"path": self.path}, "output": {"name": _INTRINSIC}}]


def rank_problem(axes: Sequence[Axis]) -> str:
    """Return why NGFF cannot have these axes in this order; empty if it can.

    Two or three axes of space come last, one of time first, and one other between them.
    """
    order = [{"time": 0, "space": 2}.get(axis.kind, 1) for axis in axes]
    spatial, other = order.count(2), [axis.name for axis in axes if axis.kind not in _MANY]
    if order.count(0) > 1:
        return "NGFF has room for one axis of time"
    if len(other) > 1:
        return f"NGFF has room for one axis besides time and space, not for {', '.join(other)}"
    if spatial not in (2, 3):
        return f"NGFF images have 2 or 3 axes of space, not {spatial}"
    if order != sorted(order):
        return "NGFF has axes in the order time, channel or another, space"
    return ""


_MANY = frozenset({"time", "space"})


def multiscale(
    name: str,
    axes: Sequence[Axis],
    levels: Sequence[Level],
    version: str,
    affine: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Return an element of ``multiscales``.

    Parameters
    ----------
    name : str
        Of the image.
    axes : sequence of Axis
        One for each dimension.
    levels : sequence of Level
        Its arrays, the largest first.
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.
    affine : ndarray, shape (n, n + 1), optional
        From places along the axes, in their units, to the same axes in the patient (LPS); 0.6
        alone has a place for it.
    """
    datasets = [
        {"path": level.path, "coordinateTransformations": level.transformations(version)}
        for level in levels
    ]
    documents = [axis.document() for axis in axes]
    if version != "0.6":
        found: dict[str, Any] = {"name": name, "axes": documents, "datasets": datasets}
        return {"version": version, **found} if version == "0.4" else found
    systems: list[dict[str, Any]] = [{"name": _INTRINSIC, "axes": documents}]
    found = {"name": name, "coordinateSystems": systems, "datasets": datasets}
    if affine is not None:
        systems.append({"name": _PATIENT, "axes": _patient_axes(axes)})
        placed = {"type": "affine", "affine": affine.tolist()}
        ends = {"input": {"name": _INTRINSIC}, "output": {"name": _PATIENT}}
        found["coordinateTransformations"] = [{**placed, **ends}]
    return found


def _patient_axes(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Return the axes in the patient: those of space are z, y and x, whatever the image's are."""
    names = iter("zyx")
    return [
        (Axis(next(names), "space", axis.unit) if axis.kind == "space" else axis).document()
        for axis in axes
    ]


def image_metadata(version: str, **parts: Any) -> dict[str, Any]:
    """Return the attributes of a group.

    Parameters
    ----------
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.
    **parts
        ``multiscales``, ``omero``, ``labels``, ``image_label``; those that are empty are left out.
    """
    told: Mapping[str, Any] = {
        name.replace("_", "-"): value for name, value in parts.items() if value
    }
    if version != "0.4":
        return {"ome": {"version": version, **told}}
    versioned = ("omero", "image-label")
    return {
        name: {**value, "version": version} if name in versioned else value
        for name, value in told.items()
    }
