"""A file as a tree: its data sets, Vdatas and images, each in its group and with its row."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from refmaker.errors import LimitError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.attribute_types import impossible_missing
from refmaker.model.inline import inline_array
from refmaker.model.report import Outcome
from refmaker.model.tree import nested
from refmaker.scanners.hdf4.annotations import annotate, file_annotations
from refmaker.scanners.hdf4.arrays import ArrayMaker, Meaning
from refmaker.scanners.hdf4.attributes import ATTRIBUTE_KINDS, Attributes
from refmaker.scanners.hdf4.calibration import Calibration
from refmaker.scanners.hdf4.datasets import (
    DATA,
    NDG,
    FileTables,
    global_attributes,
    netcdf_datasets,
)
from refmaker.scanners.hdf4.descriptors import Descriptors
from refmaker.scanners.hdf4.elements import Elements
from refmaker.scanners.hdf4.eos_structures import Structures
from refmaker.scanners.hdf4.images import IMAGE, IMAGES, find_images, image_array, palette_array
from refmaker.scanners.hdf4.placing import NETCDF, Placing
from refmaker.scanners.hdf4.predecessors import Predecessors
from refmaker.scanners.hdf4.tables import Table
from refmaker.scanners.hdf4.vdata import read_vdatas
from refmaker.scanners.hdf4.vgroups import VDATA, read_vgroups

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.hdf4.datasets import Dataset
    from refmaker.scanners.hdf4.images import Image
    from refmaker.scanners.hdf4.vdata import VData
    from refmaker.scanning.options import ScanOptions

__all__ = ["Tree"]

_OWN_KINDS: Final = (*ATTRIBUTE_KINDS, "DimVal0.0", "DimVal0.1", "Data0.0", "SDSVar", "CoordVar")
"""Classes of Vdatas that the library keeps its own affairs in."""
_CHUNK_TABLES: Final = "_HDF_CHK_TBL_"
_FILL: Final = "_FillValue"


class Tree:
    """What is in a file.

    Parameters
    ----------
    source : Source
        The file.
    files : RelatedFiles
        Opens external files.
    options : ScanOptions
        How to scan.
    report : ScanReport
        Gets a row for every object.
    """

    def __init__(
        self, source: Source, files: RelatedFiles, options: ScanOptions, report: ScanReport
    ) -> None:
        self._report = report
        elements = Elements(source, Descriptors(source, report), files)
        vgroups, vdatas = read_vgroups(elements, report), read_vdatas(elements, report)
        self._tables = FileTables(elements, vgroups, vdatas, report)
        self._maker = ArrayMaker(self._tables, options)
        self._placing = Placing(vgroups, report)
        self._attributes = global_attributes(self._tables)
        self._structures = Structures(self._tables, self._attributes)
        self._calibration = Calibration(self._attributes, report)
        self._found: dict[tuple[str, ...], Array] = {}

    def group(self) -> Group:
        """Return the root group, after a row for every object."""
        self._report.add("/", Outcome.GROUP)
        datasets = netcdf_datasets(self._tables)
        others = Predecessors(self._tables, datasets)
        datasets += others.datasets()
        annotate(self._tables, datasets)
        tables = [vdata for vdata in self._tables.vdatas.values() if _is_table(vdata)]
        self._structures.add_coordinates(self._found, self._placing)
        names = Counter((self._home(NDG, one.ref, one.name), one.name) for one in datasets)
        names.update((self._home(VDATA, one.ref, one.name), _title(one)) for one in tables)
        for dataset in datasets:
            self._add_dataset(dataset, names)
        for name, (values, said) in others.scales.items():
            self._add_scale(name, values, said)
        for vdata in tables:
            self._add_table(vdata, names)
        for image in find_images(self._tables):
            self._add_image(image)
        return self._assembled()

    def _home(self, tag: int, ref: int, name: str) -> tuple[str, ...]:
        return self._structures.home(tag, ref, name)

    def _add_dataset(self, dataset: Dataset, names: Mapping[Any, int]) -> None:
        """Add a data set, or a row that says why there is none."""
        home = self._home(NDG, dataset.ref, dataset.name)
        name = dataset.name or f"Data-Set-{dataset.ref}"
        several = names[home, dataset.name] > 1
        path = self._placing.place(home, name, (NDG, dataset.ref), several=several)
        where = "/" + "/".join(path)
        try:
            if dataset.refused is not None:
                raise dataset.refused
            array = self._dataset(dataset, where, home)
        except RefmakerError as error:
            self._report.add(where, Outcome.SKIPPED, str(error), _code(error))
            return
        if dataset.coordinate and array.nbytes and not array.chunks.present:
            reason = "it names a dimension, and its values were never written"
            self._report.add(where, Outcome.METADATA, reason, "hdf4-dimension")
            return
        self._keep(path, array)

    def _dataset(self, dataset: Dataset, where: str, home: tuple[str, ...]) -> Array:
        """Return the array of a data set."""
        elements, dtype = self._tables.elements, dataset.dtype
        if dtype is None:
            raise UnsupportedError("its elements have no type", code="hdf4-number-type")
        known = dataset.data is not None and elements.descriptors.find(DATA, dataset.data)
        element = elements.locate(DATA, dataset.data or 0) if known else None
        shape = dataset.shape
        if shape and (dataset.unlimited or not shape[0]):
            shape = (self._maker.records(element, shape, dtype.itemsize), *shape[1:])
        self._calibration.state(where, dataset.attributes)
        fill = _declared(dataset.attributes, dtype)
        for name, value in impossible_missing(dataset.attributes.document(), dtype).items():
            dataset.attributes.remove(name)
            self._report.warn(f"{where}: {name} {value!r} is left out: no {dtype} has that value")
        said, names = self._structures.describe(home, dataset.name, shape, dataset.dimensions)
        attributes = _with_said(dataset.attributes.document(), said)
        return self._maker.make(element, Meaning(shape, dtype, fill, names, attributes))

    def _add_scale(self, name: str, values: np.ndarray[Any, Any], said: Attributes) -> None:
        """Add the values of a dimension that is described without Vgroups."""
        path = self._placing.place((), name, (NDG, 0), several=False)
        self._keep(path, inline_array(values, (name,), said.document()))

    def _add_table(self, vdata: VData, names: Mapping[Any, int]) -> None:
        """Add the fields of a Vdata, each with a row."""
        home = self._home(VDATA, vdata.ref, vdata.name)
        title, single = _title(vdata), len(vdata.fields) == 1
        several = names[home, title] > 1
        own = self._placing.place(
            home, title, (VDATA, vdata.ref), several=several, group=not single
        )
        table = Table(self._tables.elements, self._maker, vdata)
        for number, field in enumerate(vdata.fields):
            path = own
            if not single:
                path = self._placing.place(own, field.name, (VDATA, number), several=False)
            where = "/" + "/".join(path)
            said = Attributes(where, self._report)
            wanted = (-1, number) if single else (number,)
            refs = [ref for of, ref in vdata.attributes if of in wanted]
            said.add_vdatas(self._tables.elements, self._tables.vdatas, refs)
            try:
                extents = (vdata.rows, *((field.order,) if field.order > 1 else ()))
                more, axes = self._structures.describe(home, vdata.name, extents, ())
                attributes = _with_said(said.document(), more)
                array = table.array(number, path[-1], axes or None, attributes)
            except RefmakerError as error:
                self._report.add(where, Outcome.SKIPPED, str(error), _code(error))
            else:
                self._keep(path, array)
        if not vdata.fields:
            where = "/" + "/".join(own)
            self._report.add(where, Outcome.SKIPPED, "a Vdata without fields", "hdf4-vdata")
        elif not single:
            self._table_group(own, vdata)

    def _add_image(self, image: Image) -> None:
        """Add an image and its palette, each with a row."""
        path = self._placing.place((), image.name, (IMAGE, image.ref), several=False)
        where = "/" + "/".join(path)
        said = Attributes(where, self._report)
        said.add_vdatas(self._tables.elements, self._tables.vdatas, image.attributes)
        try:
            array = image_array(self._tables, self._maker, image, path[-1])
        except RefmakerError as error:
            self._report.add(where, Outcome.SKIPPED, str(error), _code(error))
        else:
            self._keep(path, replace(array, attributes=said.document()))
        own = self._placing.place((), f"{image.name}_palette", (IMAGE, image.ref), several=False)
        try:
            palette = palette_array(self._tables, image, own[-1])
        except RefmakerError as error:
            self._report.add("/" + own[-1], Outcome.SKIPPED, str(error), _code(error))
        else:
            if palette is not None:
                self._keep(own, palette)

    def _table_group(self, path: tuple[str, ...], vdata: VData) -> None:
        where = "/" + "/".join(path)
        said = Attributes(where, self._report)
        refs = [ref for of, ref in vdata.attributes if of < 0]
        said.add_vdatas(self._tables.elements, self._tables.vdatas, refs)
        self._structures.attributes[path] = said.document()

    def _keep(self, path: tuple[str, ...], array: Array) -> None:
        """Keep an array, and add its row."""
        self._found[path] = array
        where = "/" + "/".join(path)
        if array.nbytes == 0:
            self._report.add(where, Outcome.REFERENCED, "it has no elements", "empty")
        elif array.chunks.referenced:
            self._report.add(where, Outcome.REFERENCED)
        elif array.chunks.inlined:
            within = "its bytes are within the inlining threshold, or lie in several places"
            self._report.add(where, Outcome.INLINED, within, "small")
        else:
            reason = "it was never written: all of it is the fill value"
            self._report.add(where, Outcome.REFERENCED, reason, "absent")

    def _vgroup_attributes(self) -> dict[str, Any]:
        """Return the attributes of Vgroups that are no groups here, by the Vgroup's name."""
        found: dict[str, Any] = {}
        for vgroup in self._tables.vgroups.values():
            if vgroup.ref in self._structures.vgroups or vgroup.kind in NETCDF:
                continue
            images = vgroup.kind == IMAGES
            refs = vgroup.refs(VDATA) if images else vgroup.attributes
            said = Attributes(f"/{vgroup.name}", self._report)
            said.add_vdatas(self._tables.elements, self._tables.vdatas, refs)
            prefix = "" if images else f"{vgroup.name}."
            found.update({f"{prefix}{name}": value for name, value in said.values.items()})
        return found

    def _assembled(self) -> Group:
        attributes = file_annotations(self._tables) | self._vgroup_attributes() | self._attributes
        nodes: dict[str, Array | Group] = {"": Group(attributes=attributes)}
        groups: dict[tuple[str, ...], dict[tuple[str, ...], Array]] = defaultdict(dict)
        for path, array in self._found.items():
            groups[path[:-1]][path] = array
        for inside in groups.values():
            for path, array in _agreeing(inside, self._report).items():
                nodes["/".join(path)] = array
        for path, attributes in self._structures.attributes.items():
            nodes["/".join(path)] = Group(attributes=attributes)
        above = {path[:n] for path in (*groups, *self._structures.attributes) for n in
                 range(1, len(path) + 1)}  # fmt: skip
        for path in sorted(above):
            self._report.add("/" + "/".join(path), Outcome.GROUP)
        root = nested(nodes)
        return root if isinstance(root, Group) else Group()


def _with_said(own: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return an array's attributes with what its structure says; both may name coordinates."""
    parts = [one["coordinates"] for one in (own, said) if isinstance(one.get("coordinates"), str)]
    named = {"coordinates": " ".join(dict.fromkeys(" ".join(parts).split()))} if parts else {}
    return {**own, **said, **named}


def _is_table(vdata: VData) -> bool:
    own = vdata.kind in _OWN_KINDS or vdata.kind.startswith(_CHUNK_TABLES)
    return not own


def _title(vdata: VData) -> str:
    return vdata.name or f"Vdata_{vdata.ref}"


def _declared(attributes: Attributes, dtype: np.dtype[Any]) -> Any:
    """Return the fill value that attributes declare, as a scalar of the dtype, or None."""
    values = attributes.numbers.get(_FILL)
    if values is None or values.size != 1 or values.dtype.kind != dtype.kind:
        return None
    return values.reshape(-1)[0] if values.dtype.itemsize == dtype.itemsize else None


def _agreeing(
    arrays: Mapping[tuple[str, ...], Array], report: ScanReport
) -> dict[tuple[str, ...], Array]:
    """Return the arrays of a group; one dimension has one extent in all of them.

    The HDF library lets variables along an unlimited dimension have records of their own number.
    """
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    own = {}
    for path, array in arrays.items():
        for name, extent in zip(array.dimension_names or (), array.shape, strict=False):
            sizes[name][extent] += 1
        if array.dimension_names == (path[-1],):
            own[path[-1]] = array.shape[0]
    kept = {name: own.get(name, counts.most_common(1)[0][0]) for name, counts in sizes.items()}
    found = {}
    for path, array in arrays.items():
        names = tuple(
            name if kept[name] == extent else f"{name}_{extent}"
            for name, extent in zip(array.dimension_names or (), array.shape, strict=False)
        )
        if array.dimension_names is not None and names != array.dimension_names:
            told = ", ".join(sorted(set(names) - set(array.dimension_names)))
            report.warn(
                f"/{'/'.join(path)} has another extent than others along a dimension, which is "
                f"named {told} here"
            )
            array = replace(array, dimension_names=names)  # noqa: PLW2901
        found[path] = array
    return found


def _code(error: RefmakerError) -> str:
    """Return the short form of an error."""
    if isinstance(error, UnsupportedError):
        return error.code
    if isinstance(error, LimitError):
        return "limit"
    return "truncated" if isinstance(error, TruncatedError) else "hdf4-element"
