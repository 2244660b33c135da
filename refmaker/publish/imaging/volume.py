"""One volume of a reference set: its values on demand, and where its voxels lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.publish.imaging.scaling import Coordinate, scaling_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import zarr
    from numpy.typing import NDArray

    from refmaker.publish.imaging.scaling import Scaling
    from refmaker.reading.open import Refs

__all__ = ["Volume", "find_volume"]

_SPACE = (re.compile(r"z(_\d+)?"), re.compile(r"y(_\d+)?"), re.compile(r"x(_\d+)?"))
_COLOURS = frozenset({"c", "rgb"})
_MILLIMETRES = {"mm": 1.0, "m": 1000.0, "um": 0.001}
_SUFFIX = re.compile(r"_\d+$")
_PIXELS = frozenset({"image", "data"})
_MOST = 1 << 20
"""Values of what stands beside a volume."""
_TOLD = 8
"""Volumes that a message names."""
_PLAIN_COLOURS = frozenset({"", "RGB", "YBR_ICT", "YBR_RCT"})
"""Photometric interpretations whose decoded samples are red, green and blue."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One volume, its dimensions in the order (..., z, y, x), with colours behind them.

    Parameters
    ----------
    path : str
        Of its array in the set.
    array : zarr.Array
        Stored values, read when they are asked for.
    order : tuple of int
        Which dimension of the array is which of the volume.
    every_name : tuple of str
        Of these dimensions.
    fixed : mapping of str to int
        Places along those of them that the volume is taken at; it has the others.
    colours : int
        Samples of a voxel; 0 if a voxel is one number.
    affine : ndarray of float64, shape (4, 4)
        Maps (z, y, x, 1) to `units` in RAS: towards right, anterior and superior.
    units : str
        ``mm``, ``m`` or ``um``.
    scaling : Scaling
        How stored values become quantities.
    attributes : mapping
        Of the array.
    coordinates : mapping of str to Coordinate
        The small arrays that stand beside it, by their names without the volume's number.
    """

    path: str
    array: zarr.Array[Any]
    order: tuple[int, ...]
    every_name: tuple[str, ...]
    fixed: Mapping[str, int]
    colours: int
    affine: NDArray[np.float64]
    units: str
    scaling: Scaling
    attributes: Mapping[str, Any]
    coordinates: Mapping[str, Coordinate]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the dimensions that it has."""
        return tuple(name for name in self.every_name if name not in self.fixed)

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of these dimensions."""
        pairs = zip(self.every_name, self.order, strict=True)
        return tuple(self.array.shape[axis] for name, axis in pairs if name not in self.fixed)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, in the byte order of this machine."""
        return self.scaling.dtype

    @property
    def leading(self) -> tuple[str, ...]:
        """Names of the dimensions before space, such as time."""
        return self.names[: len(self.names) - 3 - bool(self.colours)]

    @property
    def millimetres(self) -> NDArray[np.float64]:
        """The affine to millimetres in RAS."""
        scale = _MILLIMETRES[self.units]
        return np.asarray(np.diag([scale, scale, scale, 1.0]) @ self.affine)

    def read(self, region: Sequence[slice] | None = None) -> NDArray[Any]:
        """Return the values of a region, in the order of the volume's dimensions.

        Parameters
        ----------
        region : sequence of slice, optional
            One for each dimension, with steps above 0; everything by default.
        """
        wanted = iter(region or [slice(None)] * len(self.names))
        full = [
            slice(self.fixed[name], self.fixed[name] + 1) if name in self.fixed else next(wanted)
            for name in self.every_name
        ]
        chosen = [slice(None)] * len(self.order)
        for axis, part in zip(self.order, full, strict=True):
            chosen[axis] = part
        stored = np.asarray(self.array[tuple(chosen)]).transpose(self.order)
        found = self.scaling.apply(stored, full)
        return found.squeeze(tuple(map(self.every_name.index, self.fixed)))

    def step(self, name: str) -> tuple[float, str] | None:
        """Return distance and units along a dimension whose values are evenly spaced."""
        known = self.coordinates.get(_SUFFIX.sub("", name))
        if known is None or known.values.ndim != 1 or known.values.size < 2:
            return None
        apart = np.diff(known.values.astype(np.float64))
        if not (apart[0] > 0 and np.allclose(apart, apart.mean(), rtol=1e-3)):
            return None
        return float(apart.mean()), known.units


def find_volume(  # noqa: PLR0913 - what the functions for each library pass on
    refs: Refs,
    path: str | None = None,
    *,
    scaled: bool = True,
    isel: Mapping[str, int] | None = None,
    affine: Any = None,
    fill_value: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
    opening: Mapping[str, Any] | None = None,
) -> Volume:
    """Return a volume of a set, or of what can be scanned.

    Parameters
    ----------
    refs : ReferenceSet, Group, str, os.PathLike, or sequence of such names
        As for `open_store`.
    path : str, optional
        The array; not needed if there is one volume only.
    scaled : bool
        Whether values are quantities (slope and intercept applied) or as stored.
    isel : mapping of str to int, optional
        Places along dimensions before space to take, as of `xarray.DataArray.isel`.
    affine : array-like, shape (4, 4), optional
        Maps (z, y, x, 1) to millimetres in RAS, in place of what the set says.
    fill_value : float, optional
        Stored value of voxels that no file holds.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data.
    opening : mapping, optional
        Further options of `open_store`.

    Raises
    ------
    MetadataError
        If there is no such array, or several volumes and none is named.
    UnsupportedError
        If it is no volume with an affine, its values cannot be scaled as a whole, or no file
        holds some of them.
    RefmakerError
        As of `open_store`.
    """
    from refmaker.reading.open import loaded, open_group

    options = dict(opening or {})
    known = {name: options[name] for name in ("allow", "scan") if name in options}
    found = loaded(refs, storage_options, options.pop("reference_options", None), **known)
    options.pop("scan", None)
    group = found if isinstance(found, Group) else found.group
    path = _chosen(group, path)
    array = cast(Array, group[path])
    _check_whole(array, path, fill_value)
    if fill_value is not None:
        found = _filled(found, path, fill_value)
    opened = open_group(found, storage_options=storage_options, **options)
    return _taken(_volume(opened, group, path, affine, scaled=scaled), isel or {})


def _chosen(group: Group, path: str | None) -> str:
    """Return the path of the volume that is meant."""
    path = (path or "").strip("/")
    try:
        node = group[path] if path else group
    except KeyError:
        raise MetadataError("there is no such array", path=path, hint=_listed(group)) from None
    if isinstance(node, Array):
        return path
    # Of an image and its labels, the image is meant.
    outer = [name for name in _volumes(node) if "labels" not in name.split("/")]
    if len(outer) == 1:
        return f"{path}/{outer[0]}" if path else outer[0]
    told = f"there are {len(outer)} volumes" if outer else "there is no array over z, y and x"
    raise MetadataError(told, path=path or None, hint=_listed(group))


def _volumes(group: Group) -> list[str]:
    return [path for path, array in group.arrays() if _spatial(array) is not None]


def _listed(group: Group) -> str:
    names = _volumes(group)
    more = ", ..." if len(names) > _TOLD else ""
    return f"name one: path={' or '.join(map(repr, names[:_TOLD]))}{more}" if names else ""


def _spatial(array: Array) -> tuple[int, ...] | None:
    """Return which dimensions of an array are z, y and x; None if not all of them are there."""
    names = list(array.dimension_names or ())
    told = array.attributes.get("affine_dimensions")
    if isinstance(told, list | tuple) and len(told) == 3 and set(told) <= set(names):
        return tuple(names.index(name) for name in told)
    found = [[at for at, name in enumerate(names) if one.fullmatch(name)] for one in _SPACE]
    return tuple(at[0] for at in found) if all(len(at) == 1 for at in found) else None


def _check_whole(array: Array, path: str, fill_value: float | None) -> None:
    """Refuse values that no file holds, unless a fill value says what they are."""
    absent = array.chunks.absent
    if absent and array.fill_value is None and fill_value is None:
        missing = array.attributes.get("missing_slices")
        where = f" (slices {', '.join(map(str, missing))})" if missing else ""
        raise UnsupportedError(
            f"{absent} of its chunks are in no file{where}",
            code="absent-chunks",
            path=path,
            hint="say what is there instead, as a stored value: fill_value=0",
        )


def _filled(found: Any, path: str, fill_value: float) -> Any:
    """Return a set whose array has a fill value."""

    def change(array: Array) -> Array:
        return replace(array, fill_value=array.dtype.type(fill_value))

    parts = path.split("/")

    def changed(group: Group, depth: int) -> Group:
        name = parts[depth]
        inner = group.members[name]
        new = change(inner) if isinstance(inner, Array) else changed(inner, depth + 1)
        return replace(group, members={**group.members, name: new})

    if isinstance(found, Group):
        return changed(found, 0)
    return replace(found, group=changed(found.group, 0))


def _volume(opened: zarr.Group, group: Group, path: str, affine: Any, *, scaled: bool) -> Volume:
    array = cast(Array, group[path])
    spatial = _spatial(array)
    if spatial is None:
        listed = ", ".join(array.dimension_names or ())
        raise UnsupportedError(
            f"its dimensions are {listed}: it is no volume over z, y and x",
            code="no-volume",
            path=path,
        )
    names = list(array.dimension_names or ())
    lead = [at for at in range(len(names)) if at not in spatial and names[at] not in _COLOURS]
    colour = [at for at in range(len(names)) if names[at] in _COLOURS and at not in spatial]
    order = (*lead, *spatial, *colour)
    if colour:
        _check_colours(array, path)
    attributes = dict(array.attributes)
    units = str(attributes.get("spatial_units", "mm")) if affine is None else "mm"
    matrix = _affine(attributes, path) if affine is None else np.asarray(affine, np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f"the affine has the shape {matrix.shape}, not (4, 4)")
    parent, _, name = path.rpartition("/")
    inside = cast("zarr.Group", opened[parent]) if parent else opened
    suffix = _SUFFIX.search(name)
    members = cast(Group, group[parent]).members if parent else group.members
    beside = _beside(inside, members, suffix[0] if suffix else "")
    return Volume(
        path=path,
        array=cast("zarr.Array[Any]", inside[name]),
        order=order,
        every_name=tuple(names[at] for at in order),
        fixed={},
        colours=array.shape[colour[0]] if colour else 0,
        affine=matrix,
        units=units if units in _MILLIMETRES else "mm",
        scaling=scaling_of(array, [names[at] for at in order], beside, path, scaled=scaled),
        attributes=attributes,
        coordinates=beside,
    )


def _affine(attributes: Mapping[str, Any], path: str) -> NDArray[np.float64]:
    found = attributes.get("affine_ras")
    if found is not None:
        return np.asarray(found, np.float64)
    if attributes.get("z_uniform") is False:
        why = "its slices are not evenly spaced, so that no affine is right"
    elif attributes.get("affine", "") is None:
        why = "its file says not where its voxels lie: there is no distance between slices"
    else:
        why = "its file says not where its voxels lie in the patient: it has no affine_ras"
    raise UnsupportedError(
        why,
        code="no-affine",
        path=path,
        hint="pass one, which maps (z, y, x, 1) to millimetres in RAS: affine=numpy.eye(4)",
    )


def _check_colours(array: Array, path: str) -> None:
    photometric = str(array.attributes.get("photometric", ""))
    samples = array.shape[-1]
    if array.dtype != np.uint8 or samples not in (3, 4) or photometric not in _PLAIN_COLOURS:
        told = f"{photometric or 'colours'} of {samples} samples in {array.dtype.name}"
        raise UnsupportedError(
            f"its voxels are {told}, not RGB of 8 bits",
            code="colours",
            path=path,
            hint="read it with refmaker.open_group, and convert it as its photometric says",
        )


def _beside(
    opened: zarr.Group, members: Mapping[str, Array | Group], suffix: str
) -> dict[str, Coordinate]:
    """Return the small arrays that stand beside a volume, by their names without its number."""
    found = {}
    for name, array in members.items():
        numbered = _SUFFIX.search(name)
        if isinstance(array, Group) or (numbered[0] if numbered else "") != suffix:
            continue
        bare = name.removesuffix(suffix)
        if bare in _PIXELS or array.dtype.kind not in "iuf" or np.prod(array.shape) > _MOST:
            continue
        values = np.asarray(cast("zarr.Array[Any]", opened[name])[...])
        units = str(array.attributes.get("units", ""))
        found[bare] = Coordinate(values, units, array.dimension_names or ())
    return found


def _taken(volume: Volume, isel: Mapping[str, int]) -> Volume:
    """Return a volume at places along dimensions before space."""
    if not isel:
        return volume
    unknown = sorted(set(isel) - set(volume.leading))
    if unknown:
        known = ", ".join(volume.leading) or "none"
        raise ValueError(f"no dimensions before space are {', '.join(unknown)}; there are: {known}")
    for name, place in isel.items():
        extent = volume.shape[volume.names.index(name)]
        if not -extent <= place < extent:
            raise IndexError(f"place {place} along {name}, which has {extent}")
    fixed = {name: place % volume.shape[volume.names.index(name)] for name, place in isel.items()}
    return replace(volume, fixed=fixed)
