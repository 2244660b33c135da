"""Images as NGFF metadata describe them (0.4, section 3.4; 0.5; 0.6), of whatever form they are.

What others wrote may lack parts, or have them of another form; that is as if it were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.attributes import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["axes_of", "channels_of", "described", "images_of", "level_paths", "placement"]


def described(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of NGFF of a group: under ``ome`` from 0.5 on, before beside others."""
    later = attributes.get("ome")
    return later if isinstance(later, dict) else attributes


def images_of(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the images of a group: the entries of ``multiscales``."""
    return _listed(described(attributes).get("multiscales"))


def channels_of(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what ``omero`` says of each channel of a group's images."""
    omero = described(attributes).get("omero")
    return _listed(omero.get("channels")) if isinstance(omero, dict) else []


def axes_of(image: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the axes of an image; from 0.6 on those of its first coordinate system."""
    systems = _listed(image.get("coordinateSystems"))
    return _listed(image.get("axes")) or (_listed(systems[0].get("axes")) if systems else [])


def level_paths(image: Mapping[str, Any]) -> list[str]:
    """Return the paths of an image's levels below its group, largest first."""
    return [str(level["path"]) for level in _levels(image)]


def placement(
    image: Mapping[str, Any], path: str, rank: int
) -> tuple[list[float], list[float]] | None:
    """Return the sizes of a level's pixels, and the place of the first one.

    Parameters
    ----------
    image : mapping
        One of `images_of`.
    path : str
        One of `level_paths`.
    rank : int
        Dimensions of the level.

    Returns
    -------
    tuple of (list of float, list of float), optional
        One number for each dimension; None if nothing that has so many is told.
    """
    level = next((one for one in _levels(image) if one["path"] == path), {})
    scale, start, told = [1.0] * rank, [0.0] * rank, False
    # Those of the level come first, then those of all levels.
    for holder in (level, image):
        for step in _steps(holder.get("coordinateTransformations")):
            factors, shifts = _numbers(step, "scale"), _numbers(step, "translation")
            if any(one is not None and len(one) != rank for one in (factors, shifts)):
                return None
            told = told or factors is not None
            if factors is not None:
                scale = [a * b for a, b in zip(scale, factors, strict=True)]
                start = [a * b for a, b in zip(start, factors, strict=True)]
            if shifts is not None:
                start = [a + b for a, b in zip(start, shifts, strict=True)]
    return (scale, start) if told else None


def _levels(image: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in _listed(image.get("datasets")) if isinstance(one.get("path"), str)]


def _steps(told: Any) -> list[Mapping[str, Any]]:
    """Return transformations one after the other, those of sequences in their order."""
    found: list[Mapping[str, Any]] = []
    for step in _listed(told):
        found += _steps(step.get("transformations")) if "transformations" in step else [step]
    return found


def _numbers(step: Mapping[str, Any], kind: str) -> Sequence[float] | None:
    found = step.get(kind) if step.get("type", kind) == kind else None
    if not isinstance(found, list) or not all(map(is_number, found)):
        return None
    return [float(one) for one in found]


def _listed(told: Any) -> list[Mapping[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
