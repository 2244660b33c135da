"""Images to groups and arrays: ``<image>/<level>/image`` with coordinates and attributes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, LimitError, MetadataError, TruncatedError, UnsupportedError
from refmaker.model import ChunkTable, Group, chunk_grid
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome
from refmaker.model.tree import joined_path
from refmaker.scanners.tiff import geozarr, ngff
from refmaker.scanners.tiff.coordinates import axis_coordinate
from refmaker.scanners.tiff.damage import faults, without, without_some
from refmaker.scanners.tiff.geo_coordinates import geographic
from refmaker.scanners.tiff.image import image_array
from refmaker.scanners.tiff.image_model import Axis
from refmaker.scanners.tiff.stacked import stacked_array
from refmaker.scanners.tiff.tag_groups import json_value, tag_group

if TYPE_CHECKING:
    from refmaker.errors import RefmakerError
    from refmaker.model import Array
    from refmaker.model.report import ScanReport
    from refmaker.scanners.tiff.image_model import Image, Level
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanning.options import ScanOptions

__all__ = ["IMAGE", "Builder", "Member"]

IMAGE = "image"
"""Name of the array of pixels in every dataset."""
Member = "Array | Group"
_REFUSALS = (UnsupportedError, FormatError, LimitError, MetadataError)
_ABSENT = "`settings={'damaged-pages': 'absent'}` does without them"
_PHOTOMETRIC = {
    0: "miniswhite", 1: "minisblack", 2: "rgb", 3: "palette", 4: "mask", 5: "separated",
    6: "ycbcr", 8: "cielab", 9: "icclab", 10: "itulab", 32803: "cfa", 32844: "logl",
    32845: "logluv", 34892: "linear_raw",
}  # fmt: skip
_PALETTE = 3
_COLORMAP = 320
_DESCRIPTION = 270
_PLAIN = frozenset({"generic", "geo", "shaped"})
"""Flavours that say nothing of microscopy, and keep samples where they are stored."""


@dataclass(frozen=True, slots=True, eq=False)
class _ArrayDimensions:
    """How an image becomes arrays.

    Parameters
    ----------
    image : Image
        With its leading axes in their final order.
    names : tuple of str
        Dimensions of the arrays.
    sample_axis : int
        As for `image_array`; None where pages have one sample.
    merged : bool
        Whether samples multiply the channels.
    ngff : bool
        Whether it is described as NGFF.
    """

    image: Image
    names: tuple[str, ...]
    sample_axis: int | None = None
    merged: bool = False
    ngff: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """Builds the groups of images.

    Parameters
    ----------
    pages : Pages
        All pages.
    options : ScanOptions
        How to scan.
    report : ScanReport
        Gets a row for every array and group.
    layout : {"auto", "ngff", "native"}
        Whose order of dimensions arrays have.
    version : {"0.4", "0.5"}
        Of NGFF.
    absent : bool
        Whether damaged pages of an image with axes are absent chunks instead of its end.
    geozarr : bool
        Whether images on Earth have the attributes of GeoZarr.
    """

    pages: Pages
    options: ScanOptions
    report: ScanReport
    layout: str = "auto"
    version: str = "0.4"
    absent: bool = False
    geozarr: bool = False

    def image(
        self, image: Image, path: str, *, flat: bool
    ) -> tuple[dict[str, Array | Group], dict[str, Any], bool]:
        """Return what stands in an image's group, and whether it is NGFF.

        Parameters
        ----------
        path : str
            Of its group, ``""`` for the root.
        flat : bool
            Whether an only level stands in the group itself.

        Returns
        -------
        described : bool
            Whether the attributes are those of an NGFF image.
        """
        plan = self._plan(image)
        alone = flat and len(image.levels) == 1
        members: dict[str, Array | Group] = {}
        found: list[tuple[str, Array]] = []
        for at, level in enumerate(plan.image.levels):
            inner = path if alone else joined_path(path, str(at))
            base = found[0][1].shape if found else None
            plan, datasets = self._level(plan, level, inner, base)
            if IMAGE in datasets:
                found.append((IMAGE if alone else f"{at}/{IMAGE}", datasets[IMAGE]))
            if alone:
                members.update(datasets)
            elif datasets:
                members[str(at)] = Group(datasets)
                self.report.add(f"/{inner}", Outcome.GROUP)
        tags = self._tags(plan)
        if tags is not None:
            self._add(joined_path(path, "tiff"), tags)
            members["tiff"] = tags
        attributes = {} if not found else self._described(plan, found)
        return members, {**attributes, **self._on_earth(image, found)}, bool(attributes)

    def _on_earth(self, image: Image, found: list[tuple[str, Array]]) -> dict[str, Any]:
        """Return the GeoZarr attributes of an image's group, if they are wanted."""
        if not self.geozarr or not found:
            return {}
        attributes = {} if image.geo is None else geozarr.group_attributes(image.geo, found)
        if not attributes:
            name = image.name or "an image"
            self.report.warn(f"{name} is not described as GeoZarr: no transform says where it is")
        return attributes

    def _plan(self, image: Image) -> _ArrayDimensions:
        """Return how an image's dimensions are arranged."""
        image = image.squeezed()
        first = max(image.first, 0)
        samples = int(self.pages.samples[first])
        separate = samples > 1 and int(self.pages.planar[first]) == 2
        names = tuple(axis.name for axis in image.axes)
        wanted = self.layout == "ngff" or (
            self.layout == "auto" and self._biological(image, samples)
        )
        if wanted and not (image.stacked and samples > 1):
            ordered = image.ordered(ngff.RANK, 2)
            names = tuple(axis.name for axis in ordered.axes)
            if samples == 1:
                full, merged, place = (*names, "y", "x"), False, None
            elif "c" in names:
                full, merged, place = (*names, "y", "x"), True, names.index("c")
            else:
                place, merged = names.count("t"), False
                full = (*names[:place], "c", *names[place:], "y", "x")
            why = ngff.problem(full)
            if not why:
                return _ArrayDimensions(ordered, full, place, merged, ngff=True)
            self.report.warn(f"{image.name or 'an image'} is not described as NGFF: {why}")
        if samples == 1:
            return _ArrayDimensions(image, (*names, "y", "x"))
        sample = "band" if image.geo is not None else "s"
        if separate:
            return _ArrayDimensions(image, (*names, sample, "y", "x"), len(names))
        return _ArrayDimensions(image, (*names, "y", "x", sample), -1)

    def _biological(self, image: Image, samples: int) -> bool:
        """Tell whether an image is such that its readers expect NGFF."""
        if image.geo is not None or image.role:
            return False
        if image.flavour not in _PLAIN or len(image.levels) > 1:
            return True
        known = {axis.name for axis in image.axes} & {"t", "c", "z"}
        scaled = any(axis.scale is not None for axis in (*image.axes, *image.pixels))
        return image.flavour == "shaped" and samples == 1 and bool(known or scaled)

    def _level(
        self, plan: _ArrayDimensions, level: Level, path: str, base: tuple[int, ...] | None
    ) -> tuple[_ArrayDimensions, dict[str, Array]]:
        """Return the arrays of one level: pixels, mask, coordinates."""
        where = joined_path(path, IMAGE)
        try:
            array = self._pixels(plan, level)
        except _REFUSALS as error:
            plan, rest = self._rest(plan, level, f"/{where}", error)
            if rest is None:
                return plan, {}
            array = rest
        self.report.add(f"/{where}", Outcome.REFERENCED)
        members = {IMAGE: array}
        if level.mask >= 0:
            members |= self._mask(plan, level, path)
        extra = self._coordinates(plan, array, base or array.shape)
        if base is None:
            extra |= self._positions(plan)
        for name in extra:
            self.report.add(
                f"/{joined_path(path, name)}", Outcome.INLINED, "a coordinate", "coordinate"
            )
        if extra:
            listed = [name for name in extra if name not in plan.names]
            linked: dict[str, Any] = {"coordinates": " ".join(listed)} if listed else {}
            if "spatial_ref" in extra:
                linked["grid_mapping"] = "spatial_ref"
            members[IMAGE] = replace(array, attributes={**array.attributes, **linked})
        if self.geozarr and plan.image.geo is not None:
            told = geozarr.array_attributes(plan.image.geo, array, base or array.shape)
            members[IMAGE] = replace(
                members[IMAGE], attributes={**members[IMAGE].attributes, **told}
            )
        return plan, members | extra

    def _rest(
        self, plan: _ArrayDimensions, level: Level, path: str, error: RefmakerError
    ) -> tuple[_ArrayDimensions, Array | None]:
        """Return what can be read of a level that was refused; name the damaged pages."""
        numbers = level.numbers[level.numbers >= 0]
        several = numbers.size > 1 and not plan.image.stacked
        bad = faults(self.pages, numbers) if several else {}
        reason = error.message
        if 0 < len(bad) < numbers.size:
            page = min(bad)
            told = f"{len(bad)} of {numbers.size} pages are damaged"
            reason = f"{told}, the first {self.pages.path(page)}: {bad[page].message}"
            image = without_some(self.pages, plan.image, list(bad))
            if image is not None:
                plan, level = replace(plan, image=image), image.levels[0]
                told += " and left out; the others keep their numbers"
            elif self.absent:
                level = without(level, list(bad))
                told += "; they read as the fill value"
            else:
                self.report.add(path, Outcome.SKIPPED, f"{reason} ({_ABSENT})", _code(error))
                return plan, None
            try:
                array = self._pixels(plan, level)
            except _REFUSALS as other:
                error, reason = other, other.message
            else:
                for page, fault in bad.items():
                    name = self.pages.path(page)
                    self.report.add(name, Outcome.SKIPPED, fault.message, _code(fault))
                self.report.warn(f"{path}: {told}")
                return plan, array
        self.report.add(path, Outcome.SKIPPED, reason, _code(error))
        return plan, None

    def _pixels(self, plan: _ArrayDimensions, level: Level) -> Array:
        image, first = plan.image, max(plan.image.first, 0)
        attributes = self._attributes(plan, first)
        if image.stacked:
            return stacked_array(self.pages, level.numbers, plan.names, attributes, self.options)
        array = image_array(
            self.pages,
            level.numbers.reshape(-1),
            image.extents,
            plan.names,
            attributes,
            self.options,
            sample_axis=-1 if plan.sample_axis is None else plan.sample_axis,
            merge_samples=plan.merged,
            fill_value=image.fill_value,
        )
        if level.extent is None:
            return array
        return _cropped(array, level.extent)

    def _attributes(self, plan: _ArrayDimensions, page: int) -> dict[str, Any]:
        image = plan.image
        found = json_value(dict(image.attributes))
        if image.name and "long_name" not in found:
            found["long_name"] = image.name
        photometric = int(self.pages.photometric[page])
        found["photometric"] = _PHOTOMETRIC.get(photometric, str(photometric))
        orientation = int(self.pages.orientation[page])
        if orientation > 1:
            found["orientation"] = orientation
        if photometric == _PALETTE:
            table = self.pages.tag(page, _COLORMAP)
            if isinstance(table, np.ndarray) and table.size % 3 == 0 and table.size <= 3 * 256:
                found["colormap"] = json_value(table.reshape(3, -1))
        return dict(found)

    def _mask(self, plan: _ArrayDimensions, level: Level, path: str) -> dict[str, Array]:
        where = joined_path(path, "mask")
        numbers = np.array([level.mask], np.int64)
        first, samples = max(plan.image.first, 0), int(self.pages.samples[level.mask])
        names: tuple[str, ...] = ("y", "x")
        axis = -1
        if samples > 1 and samples == int(self.pages.samples[first]):
            name = next(iter({"s", "band", "c"} & set(plan.names)), "s")
            separate = int(self.pages.planar[level.mask]) == 2
            names, axis = ((name, "y", "x"), 0) if separate else (("y", "x", name), -1)
        attributes = {"long_name": "mask"}
        try:
            if samples > 1 and len(names) == 2:
                raise UnsupportedError(
                    f"a mask of {samples} samples for an image of another number", code="mask"
                )
            mask = image_array(
                self.pages, numbers, (), names, attributes, self.options, sample_axis=axis
            )
        except _REFUSALS as error:
            self.report.add(f"/{where}", Outcome.SKIPPED, error.message, _code(error))
            return {}
        self.report.add(f"/{where}", Outcome.REFERENCED)
        return {"mask": mask}

    def _coordinates(
        self, plan: _ArrayDimensions, array: Array, base: tuple[int, ...]
    ) -> dict[str, Array]:
        image = plan.image
        sizes = dict(zip(plan.names, array.shape, strict=True))
        whole = dict(zip(plan.names, base, strict=True))
        found: dict[str, Array] = {}
        for axis in self._axes(plan):
            if axis.name in "yx" and image.geo is not None:
                continue
            size = sizes[axis.name]
            coordinate = axis_coordinate(axis, size, whole[axis.name] / size if size else 1.0)
            if coordinate is not None:
                found[axis.name] = coordinate
        if image.geo is not None:
            found |= geographic(image.geo, sizes, whole)
        return found

    def _axes(self, plan: _ArrayDimensions) -> tuple[Axis, ...]:
        """Return one axis for each dimension of the arrays."""
        image = plan.image
        first = max(image.first, 0)
        samples = int(self.pages.samples[first])
        known = {axis.name: axis for axis in (*image.axes, *image.pixels)}
        if "c" in plan.names:
            count = known["c"].size if "c" in known else 1
            if samples > 1:
                known["c"] = Axis("c", count * samples)
            labels = tuple(one.label for one in self._channels(plan))
            if any(labels) and not known["c"].labels:
                known["c"] = known["c"]._replace(labels=labels)
        if image.geo is not None and samples > 1:
            known["band"] = Axis("band", samples, values=())
        return tuple(known.get(name, Axis(name)) for name in plan.names)

    def _channels(self, plan: _ArrayDimensions) -> Any:
        image = plan.image
        first = max(image.first, 0)
        samples = int(self.pages.samples[first])
        count = next((axis.size for axis in image.axes if axis.name == "c"), 1)
        color = int(self.pages.photometric[first]) in (2, 6)
        return ngff.channel_labels(image.channels, count, samples, color=color)

    def _positions(self, plan: _ArrayDimensions) -> dict[str, Array]:
        names = tuple(axis.name for axis in plan.image.axes)
        return {
            one.name: inline_array(one.values, names, {"units": one.unit} if one.unit else {})
            for one in plan.image.positions
        }

    def _tags(self, plan: _ArrayDimensions) -> Group | None:
        image = plan.image
        names = tuple(axis.name for axis in image.axes)
        numbers = image.levels[0].numbers
        if image.stacked:
            numbers, names = np.zeros((), np.int64), ()
        skip = {_DESCRIPTION} if image.flavour == "ome" else set()
        return tag_group(self.pages, numbers, names, skip=frozenset(skip))

    def _described(self, plan: _ArrayDimensions, found: list[tuple[str, Array]]) -> dict[str, Any]:
        """Return the NGFF attributes of an image's group, empty if it is not described so."""
        if not plan.ngff:
            return {}
        image = plan.image
        bits = image.attributes.get("significant_bits")
        return ngff.image_attributes(
            image.name,
            self._axes(plan),
            [path for path, _ in found],
            [array.shape for _, array in found],
            self._channels(plan),
            found[0][1].dtype,
            version=self.version,
            bits=bits if isinstance(bits, int) else None,
        )

    def _add(self, path: str, group: Group) -> None:
        """Account for a group of inlined arrays."""
        self.report.add(f"/{path}", Outcome.GROUP)
        for name in group.members:
            self.report.add(f"/{path}/{name}", Outcome.INLINED, "a tag of the pages", "tag")


def _code(error: Exception) -> str:
    """Return the stable short form of why an array was refused."""
    code = getattr(error, "code", "")
    if code:
        return str(code)
    return "truncated" if isinstance(error, TruncatedError) else "damaged"


def _cropped(array: Array, extent: tuple[int, int]) -> Array:
    """Return an array without the padding of its last two dimensions."""
    names = array.dimension_names or ()
    shape = tuple(
        min(size, extent["yx".index(name)]) if name in ("y", "x") else size
        for name, size in zip(names, array.shape, strict=True)
    )
    grid = chunk_grid(shape, array.chunk_shape)
    table: ChunkTable = array.chunks.window((0,) * len(grid), grid)
    return replace(array, shape=shape, chunks=table)
