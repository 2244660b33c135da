"""What a set holds that can be shown, by metadata alone: maps, images, stacks, lines, tables."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.model import Array, Group
from refmaker.model.attributes import text_of
from refmaker.model.grid_mapping import mapping_name, reference_system
from refmaker.model.tree import joined_path
from refmaker.publish.pictures.axes import Surroundings
from refmaker.publish.pictures.pyramids import pyramids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.publish.pictures.axes import Axis
    from refmaker.publish.pictures.pyramids import Pyramid
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["KINDS", "Subject", "subjects"]

KINDS = ("map", "pyramid", "montage", "points", "image", "lines", "table")
"""What a subject may be, what is shown first before the rest."""
_COLUMNS = 8
"""Rows or columns of numbers that are lines rather than a picture."""
_COLOURS = (3, 4)
_RANKS = {"image": 1, "lines": 2, "table": 3}
_PLAIN = frozenset({"image", "data", "values", "array", "0"})
"""Names that say nothing."""
_NAMED = 8
"""Coordinates that an array names, which are looked at."""
_PLANES = 3
"""Planes from which on a stack is shown as a montage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that can be shown.

    Parameters
    ----------
    kind : str
        One of `KINDS`: a map over latitudes and longitudes or projected metres; an image with
        levels; a stack of planes; values at points on a map; an image; lines; rows of a table.
    path : str
        Of the array; of a table that is several arrays, of their group.
    title : str
        What it is called in full.
    units : str
        Of its values; empty where none are told.
    axes : tuple of Axis
        Of the array.
    drawn : tuple of int
        Which axes are rows and columns of the picture, or the one of a line; behind these of a
        montage the one of its planes.
    colours : int, optional
        Which axis is that of red, green, blue or of channels that are shown together.
    levels : tuple of str
        Paths of the arrays of a pyramid, largest first.
    crs : str
        Name of the coordinate reference system.
    projected : bool
        Whether places are lengths on a plane.
    ground : tuple of str, optional
        Paths of latitudes and longitudes, where they are arrays over all that is drawn.
    channels : tuple of (str, str)
        Labels and colours of channels, as NGFF tells them.
    columns : tuple of str
        Paths of the arrays of a table; empty for one array of records.
    at : mapping of str to str
        Names and paths of single values that say where all of it is: a time, a level.
    """

    kind: str
    path: str
    title: str
    units: str = ""
    axes: tuple[Axis, ...] = ()
    drawn: tuple[int, ...] = ()
    colours: int | None = None
    levels: tuple[str, ...] = ()
    crs: str = ""
    projected: bool = False
    ground: tuple[str, str] | None = None
    channels: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    at: Mapping[str, str] = field(default_factory=dict)

    @property
    def free(self) -> dict[str, int]:
        """Sizes of the dimensions along which a place may be chosen."""
        if self.columns:
            return {}
        shown = {*self.drawn, self.colours}
        return {
            axis.name: axis.size
            for at, axis in enumerate(self.axes)
            if at not in shown and axis.size > 1
        }


def subjects(refs: ReferenceSet | Group) -> list[Subject]:
    """Return what of a set can be shown, the likeliest to be looked for first.

    Nothing is read: kinds follow from shapes, names of dimensions and attributes.

    Parameters
    ----------
    refs : ReferenceSet or Group
        The set.
    """
    root = refs if isinstance(refs, Group) else refs.group
    around = Surroundings(root)
    found: list[Subject] = []
    taken = _beside(around)
    for pyramid in pyramids(root):
        taken.update(pyramid.levels)
        subject = _of_array(around, pyramid.levels[0], pyramid)
        if subject is not None:
            found.append(subject)
    for path, group in around.groups.items():
        columns = _columns(path, group, taken)
        if columns:
            taken.update(columns)
            found.append(Subject(kind="table", path=path, title=path or "/", columns=columns))
    for path, array in root.arrays():
        subject = None if path in taken or not math.prod(array.shape) else _of_array(around, path)
        if subject is not None:
            found.append(subject)
    if any(subject.kind not in ("lines", "table") for subject in found):
        # What stands in the set itself beside pictures only says something of these.
        found = [one for one in found if one.kind != "lines" or _is_large(root, one.path)]
    weights = {path: (array.dtype.kind == "b", -array.nbytes) for path, array in root.arrays()}
    return sorted(
        found, key=lambda one: (_RANKS.get(one.kind, 0), *weights.get(one.path, (False, 0)))
    )


def _is_large(root: Group, path: str) -> bool:
    node = root[path]
    return isinstance(node, Array) and node.chunks.referenced > 0


def _beside(around: Surroundings) -> set[str]:
    """Return the arrays that only say of others where they are, or how to read them."""
    found: set[str] = set()
    for path, array in around.root.arrays():
        name = path.rpartition("/")[2]
        attributes = array.attributes
        standard = text_of(attributes, "standard_name")
        place = standard in ("latitude", "longitude", "time", "forecast_period")
        if place or not array.shape or (array.dimension_names or ())[:1] == (name,):
            found.add(path)
        named = " ".join(
            str(attributes.get(key, ""))
            for key in ("coordinates", "bounds", "grid_mapping", "cell_measures")
        )
        for word in named.replace(":", " ").split():
            seen = around.find(path, word)
            if seen is not None and seen[0] != path:
                found.add(seen[0])
    return found


def _columns(path: str, group: Group, taken: set[str]) -> tuple[str, ...]:
    """Return the arrays of a group that are columns of a table: of one dimension without places."""
    arrays = {
        joined_path(path, name): node
        for name, node in group.members.items()
        if isinstance(node, Array) and joined_path(path, name) not in taken
    }
    names = {array.dimension_names for array in arrays.values()}
    if len(arrays) < 2 or len(names) != 1:
        return ()
    shapes = {array.shape for array in arrays.values()}
    (dims,) = names
    alone = dims is not None and len(dims) == 1 and dims[0] not in group.members
    kinds = {array.dtype.kind for array in arrays.values()}
    # Numbers alone are shown as lines, which tell more.
    if len(shapes) == 1 and alone and (kinds & set("OSUV") or dims == ("NAXIS2",)):
        return tuple(arrays)
    return ()


def _of_array(around: Surroundings, path: str, pyramid: Pyramid | None = None) -> Subject | None:
    """Return what an array shows; None for what no picture shows, such as a scalar."""
    array = around.root[path]
    if not isinstance(array, Array) or not array.shape:
        return None
    axes = around.axes(path, array)
    common: dict[str, Any] = {
        "path": path,
        "title": _title(path, array, pyramid),
        "units": _units(around, path, array),
        "axes": axes,
        "at": _at(around, path, array),
    }
    if array.dtype.kind not in "biufc":
        return Subject(kind="table", **common) if len(array.shape) == 1 else None
    points = _points(around, path, array)
    if points is not None:
        return Subject(kind="points", ground=points[1], drawn=(points[0],), **common)
    channels = pyramid.channels if pyramid else ()
    colours = _colours(array, axes, bool(channels))
    plane = _plane(axes, colours)
    if plane is None:
        return Subject(kind="lines", drawn=_along(axes), **common)
    row, column = plane
    place = _place(around, path, array, (axes[row], axes[column]))
    known = {**common, **place, "colours": colours}
    if pyramid is not None:
        known.update(levels=pyramid.levels, channels=channels)
        if len(pyramid.levels) > 1:
            return Subject(kind="pyramid", drawn=plane, **known)
    geographic = bool(place["crs"] or place["ground"] or place["projected"]) or _degrees(
        axes[row], axes[column]
    )
    if geographic:
        return Subject(kind="map", drawn=plane, **known)
    planes = [
        at for at, axis in enumerate(axes)
        if at not in (*plane, colours) and axis.role == "z" and axis.size >= _PLANES
    ]  # fmt: skip
    if planes:
        return Subject(kind="montage", drawn=(*plane, planes[0]), **known)
    return Subject(kind="image", drawn=plane, **known)


def _title(path: str, array: Array, pyramid: Pyramid | None) -> str:
    """Return what an array is called in full."""
    told = text_of(array.attributes, "long_name", "GRIB_name", "standard_name")
    modality = text_of(array.attributes, "modality")
    home, _, name = path.rpartition("/")
    if told or (pyramid and pyramid.name not in ("", name)):
        return told or (pyramid.name if pyramid else "")
    if modality:
        return f"{modality} {name}"
    if name not in _PLAIN:
        return name
    inside = home.rpartition("/")[2]
    if inside and not inside.isdigit():
        return f"{inside}/{name}"
    files = [url.partition("?")[0].rstrip("/").rpartition("/")[2] for url in array.chunks.urls]
    return files[0] if len(files) == 1 and files[0] else name


def _at(around: Surroundings, path: str, array: Array) -> dict[str, str]:
    """Return the coordinates without a dimension that an array names."""
    found = {}
    mapping = text_of(array.attributes, "grid_mapping").split(":")[0]
    for name in text_of(array.attributes, "coordinates").split()[:_NAMED]:
        if name == mapping:
            continue
        seen = around.find(path, name)
        if seen is not None and not seen[1].shape and seen[1].dtype.kind in "iufSU":
            found[name] = seen[0]
    return found


def _units(around: Surroundings, path: str, array: Array) -> str:
    """Return the units of values as they are meant; those of DICOM may have to be looked up."""
    name = path.rpartition("/")[2]
    suffix = name[name.rindex("_") :] if name.rpartition("_")[2].isdigit() and "_" in name else ""
    if around.find(path, f"modality_lut{suffix}") is not None:
        return "stored values"
    found = text_of(array.attributes, "rescaled_units", "units", "rescale_type", "BUNIT")
    return "" if found == "1" else found


def _along(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the axis of lines, and the one that there is a line for each place along."""
    longest = max(range(len(axes)), key=lambda at: (axes[at].size, -at))
    others = [at for at, axis in enumerate(axes) if at != longest and axis.size > 1]
    across = others[-1:] if others and axes[others[-1]].size <= _COLUMNS else []
    return longest, *across


def _points(around: Surroundings, path: str, array: Array) -> tuple[int, tuple[str, str]] | None:
    """Return which axis runs over points on the ground, and where these lie."""
    for at, name in enumerate(array.dimension_names or ()):
        found = around.latitude_longitude(path, (name,))
        if found is not None:
            return at, found
    return None


def _colours(array: Array, axes: Sequence[Axis], channels: bool) -> int | None:
    """Return the axis of colours, or of channels that are shown together."""
    if len(axes) < 3:
        return None
    attributes = array.attributes
    photometric = text_of(attributes, "photometric", "photometric_interpretation").lower()
    bands = attributes.get("gdal_bands")
    told = str(list(bands.values()) if isinstance(bands, dict) else "")
    coloured = photometric.startswith(("rgb", "ycbcr", "ybr")) or "Red" in told
    for at, axis in enumerate(axes):
        if axis.role == "channel" and axis.size <= _COLUMNS and (channels or coloured):
            return at
    last = axes[-1]
    unnamed = last.role in ("", "channel") and last.size in _COLOURS and not last.coordinate
    return len(axes) - 1 if unnamed and (coloured or array.dtype.str[1:] == "u1") else None


def _plane(axes: Sequence[Axis], colours: int | None) -> tuple[int, int] | None:
    """Return rows and columns of a picture; None if it is rather lines."""
    rows = [at for at, axis in enumerate(axes) if axis.role == "y" and axis.size > 1]
    columns = [at for at, axis in enumerate(axes) if axis.role == "x" and axis.size > 1]
    if rows and columns:
        return rows[-1], columns[-1]
    rest = [at for at, axis in enumerate(axes) if at != colours and axis.size > 1]
    if len(rest) < 2 or min(axes[at].size for at in rest[-2:]) <= _COLUMNS:
        return None
    return rest[-2], rest[-1]


def _degrees(row: Axis, column: Axis) -> bool:
    return row.units.startswith("degree") and column.units.startswith("degree")


def _place(
    around: Surroundings, path: str, array: Array, plane: tuple[Axis, Axis]
) -> dict[str, Any]:
    """Return what is known of where a picture lies on the globe."""
    named = mapping_name(array.attributes)
    found = around.find(path, named) if named else None
    system = reference_system(found[1].attributes if found else {})
    row, column = plane
    ground = None
    if not (row.coordinate and column.coordinate):
        ground = around.latitude_longitude(path, (row.name, column.name))
    return {"crs": system.label, "projected": system.projected, "ground": ground}
