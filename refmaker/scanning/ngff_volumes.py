"""NGFF metadata of the volumes in a group, by what their attributes say of their geometry.

An axis has the scale that follows from ``affine_ras``, or else ``spacing`` or ``voxel_size``;
where nothing tells it, it is 1 and the axis has no unit. Places of uneven slices cannot be said,
and are not. A translation, of the first voxel in LPS, is written where the axes run along z, y and
x of LPS; else the affine alone says where a volume lies, which NGFF has from 0.6 on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.model import Array, Group
from refmaker.model.inline import decode_inline
from refmaker.scanning.ngff import Axis, Level, image_metadata, multiscale, rank_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model.report import ScanReport

__all__ = ["Voxels", "described_volumes", "volume_multiscale", "voxels_of", "with_ngff"]

_SPACE = re.compile(r"([zyx])(_\d+)?")
_NUMBER = re.compile(r"_\d+$")
_TIMES = frozenset(
    {
        *("t", "time", "temporal_position", "trigger_time", "frame_reference_time"),
        *("acquisition_time", "content_time", "time_slot", "time_slice"),
    }
)
_CHANNELS = frozenset({"c", "segment", "optical_path", "rgb"})
_UNITS = {
    "mm": "millimeter",
    "m": "meter",
    "um": "micrometer",
    "angstrom": "angstrom",
    "s": "second",
    "ms": "millisecond",
    "us": "microsecond",
}
_EVEN = 1e-3
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ALONG = 1e-6
"""How far axes may be from those of LPS for a translation to say where they begin."""


class Voxels(NamedTuple):
    """How the voxels of a volume lie.

    Parameters
    ----------
    dimensions : list of str
        Those of space, in the order of the array.
    steps : list of float or None
        Distances along them, None where not known.
    unit : str
        Of the distances; empty where nothing names it.
    affine : ndarray of float64, shape (4, 4), optional
        From indices along these dimensions, and 1, to x, y and z of LPS.
    """

    dimensions: list[str]
    steps: list[float | None]
    unit: str
    affine: NDArray[np.float64] | None


def voxels_of(array: Array) -> Voxels:
    """Return how the voxels of an array lie, by what its attributes say."""
    attributes, names = array.attributes, array.dimension_names or ()
    affine = _affine(attributes)
    spatial = [name for name in names if _is_space(name, attributes)]
    steps = _steps(attributes, affine, [name[0] for name in spatial])
    return Voxels(spatial, steps, _told_unit(attributes), affine)


def with_ngff(group: Group, version: str, report: ScanReport) -> Group:
    """Return a group whose attributes describe its volumes; what cannot be is a warning."""
    told, problems = described_volumes(group.members, version)
    for problem in problems:
        report.warn(f"not described as NGFF: {problem}")
    return replace(group, attributes={**group.attributes, **told})


def described_volumes(
    members: Mapping[str, Array | Group], version: str, name: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Return the attributes of a group that describe its volumes, and why some are not described.

    Parameters
    ----------
    members : mapping of str to Array or Group
        Of the group: the arrays ``image``, ``image_1``, ... or ``data``, and their coordinates.
    version : {"0.4", "0.5", "0.6", "no"}
        Of NGFF.
    name : str
        Of the image; by default that of its array.

    Returns
    -------
    dict
        ``multiscales`` with an element for each volume, and ``omero`` with the window of the
        first; empty if there is none.
    list of str
        A sentence for each array that NGFF cannot describe.
    """
    found: list[dict[str, Any]] = []
    omero: dict[str, Any] = {}
    problems = []
    for path, array in members.items():
        if version == "no" or _NUMBER.sub("", path) not in ("image", "data"):
            continue
        if isinstance(array, Group):
            continue
        one = volume_multiscale(name or path, path, array, members, version)
        if isinstance(one, str):
            problems.append(f"{path}: {one}")
            continue
        omero = omero if found else _window(array, members, name or path)
        found.append(one)
    return (image_metadata(version, multiscales=found, omero=omero) if found else {}), problems


def volume_multiscale(
    name: str,
    path: str,
    array: Array,
    members: Mapping[str, Array | Group],
    version: str,
) -> dict[str, Any] | str:
    """Return an element of ``multiscales`` for one array, or why there is none.

    Parameters
    ----------
    name, path : str
        Of the image, and of the array below its group.
    array : Array
        With the attributes of a volume.
    members : mapping
        Of the group: coordinates of dimensions before space give distances along them.
    version : {"0.4", "0.5", "0.6"}
        Of NGFF.
    """
    names = array.dimension_names or ()
    attributes = array.attributes
    if attributes.get("z_uniform") is False:
        return "its slices are not evenly spaced, which NGFF cannot say"
    voxels = voxels_of(array)
    affine, steps, unit = voxels.affine, voxels.steps, _UNITS.get(voxels.unit, "")
    spatial = [at for at, one in enumerate(names) if one in voxels.dimensions]
    axes, scale = [], []
    for at, dimension in enumerate(names):
        if at in spatial:
            step = steps[spatial.index(at)]
            axes.append(Axis(dimension, "space", unit if step else ""))
            scale.append(step or 1.0)
            continue
        kind, bare = _kind(dimension), _NUMBER.sub("", dimension)
        step, told = _distance(members.get(dimension), dimension) if kind == "time" else (None, "")
        axes.append(Axis(dimension, kind or bare, _UNITS.get(told, "") if step else ""))
        scale.append(step or 1.0)
    why = rank_problem(axes)
    if why:
        return why
    shift: tuple[float, ...] = ()
    placed = None
    if affine is not None and len(spatial) == 3:
        lead = len(names) - 3
        if version == "0.6":
            placed = _placed(affine, lead, scale)
        elif np.abs(affine[:3, :3] - np.fliplr(np.diag(scale[lead:][::-1]))).max() < _ALONG:
            shift = (*(0.0,) * lead, *(float(part) for part in affine[2::-1, 3]))
    return multiscale(name, axes, [Level(path, tuple(scale), shift)], version, placed)


def _is_space(name: str, attributes: Mapping[str, Any]) -> bool:
    told = attributes.get("affine_dimensions")
    return name in told if told else _SPACE.fullmatch(name) is not None


def _kind(name: str) -> str:
    bare = _NUMBER.sub("", name)
    return "time" if bare in _TIMES else "channel" if bare in _CHANNELS else ""


def _affine(attributes: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the map of (z, y, x, 1) to LPS, shape (4, 4)."""
    found = attributes.get("affine_ras")
    return None if found is None else np.asarray(_LPS @ np.asarray(found, np.float64) + 0.0)


def _steps(
    attributes: Mapping[str, Any], affine: NDArray[np.float64] | None, names: Sequence[str]
) -> list[float | None]:
    """Return the distances along the axes of space, None where not known."""
    if affine is not None and len(names) == 3:
        return [float(step) or None for step in np.linalg.norm(affine[:3, :3], axis=0)]
    if "voxel_size" in attributes:
        known = dict(zip("xyz", attributes["voxel_size"], strict=True))
    else:
        known = dict(zip("xyz", reversed(attributes.get("spacing") or ()), strict=False))
    return [known.get(name) or None for name in names]


def _told_unit(attributes: Mapping[str, Any]) -> str:
    if "voxel_size_units" in attributes:
        return str(attributes["voxel_size_units"])
    # NIfTI alone has lengths of a unit that it may not name.
    default = "" if "nifti_version" in attributes else "mm"
    return str(attributes.get("spatial_units", default))


def _distance(coordinate: Array | Group | None, name: str) -> tuple[float | None, str]:
    """Return distance and units of a coordinate whose values are evenly spaced."""
    if not isinstance(coordinate, Array) or coordinate.dimension_names != (name,):
        return None, ""
    if set(coordinate.chunks.inlined) != {0} or coordinate.dtype.kind not in "iuf":
        return None, ""
    data = decode_inline(coordinate, coordinate.chunks.inlined[0])
    values = np.frombuffer(data, coordinate.dtype).astype(np.float64)
    apart = np.diff(values)
    if apart.size == 0 or not (apart[0] > 0 and np.allclose(apart, apart.mean(), rtol=_EVEN)):
        return None, ""
    return float(apart.mean()), str(coordinate.attributes.get("units", ""))


def _placed(affine: NDArray[np.float64], lead: int, scale: Sequence[float]) -> NDArray[np.float64]:
    """Return the map of places along the axes to those in LPS, the rows in the order z, y, x."""
    matrix = np.zeros((lead + 3, lead + 4))
    matrix[:lead, :lead] = np.eye(lead)
    matrix[lead:, lead:-1] = affine[2::-1, :3] / np.asarray(scale[lead:])
    matrix[lead:, -1] = affine[2::-1, 3]
    return matrix + 0.0


def _window(array: Array, members: Mapping[str, Array | Group], name: str) -> dict[str, Any]:
    """Return the window in which an image is to be shown, in stored values, as ``omero``."""
    attributes = array.attributes
    center, width = (_first(attributes.get(f"window_{name}")) for name in ("center", "width"))
    if center is None or width is None or width <= 0:
        return {}
    if any(other.startswith(("rescale_", "modality_lut")) for other in members):
        # It is one of values that no reader of NGFF makes of the stored ones.
        return {}
    if array.dtype.kind not in "iu":
        return {}
    if any(_kind(one) == "channel" for one in array.dimension_names or ()):
        return {}
    slope = float(attributes.get("scale_factor", 1.0))
    offset = float(attributes.get("add_offset", 0.0))
    ends = sorted((center + sign * width / 2 - offset) / slope for sign in (-1, 1))
    limits = np.iinfo(array.dtype)
    shown = {"min": int(limits.min), "max": int(limits.max), "start": ends[0], "end": ends[1]}
    channel = {"label": name, "color": "FFFFFF", "active": True, "window": shown}
    return {"channels": [channel], "rdefs": {"model": "greyscale"}}


def _first(value: Any) -> float | None:
    """Return a number, or the first of several."""
    value = value[0] if isinstance(value, list | tuple) and value else value
    return float(value) if isinstance(value, int | float) else None
