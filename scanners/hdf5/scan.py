"""One scan of one file: from links and objects to a reference set and its account."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import h5py

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import (
    LimitError,
    RefmakerError,
    SourceError,
    SourceNotFoundError,
    TruncatedError,
    UnsupportedError,
)
from refmaker.io.h5py_file import open_file
from refmaker.io.related_files import RelatedFiles
from refmaker.model import Array, Group
from refmaker.model.attribute_types import impossible_missing, with_types
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.scanners.hdf5.arrays import ArrayMaker, inlinable
from refmaker.scanners.hdf5.attributes import AttributeReader
from refmaker.scanners.hdf5.chunks import ChunkFinder
from refmaker.scanners.hdf5.dataset import OpenDataset
from refmaker.scanners.hdf5.dimensions import Dimensions, Scale, is_placeholder
from refmaker.scanners.hdf5.heap_columns import read_columns
from refmaker.scanners.hdf5.linked import LinkedObject, unlimited_of
from refmaker.scanners.hdf5.padding import padded
from refmaker.scanners.hdf5.tree import TreeBuilder
from refmaker.scanners.hdf5.types import ValueStorage
from refmaker.scanners.hdf5.walk import Objects, ObjectType, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions

__all__ = ["FileScan"]

_NETCDF_MARKS = frozenset(
    [b"_NCProperties", b"_Netcdf4Dimid", b"_Netcdf4Coordinates", b"_nc3_strict"]
)
_HIDDEN = _NETCDF_MARKS | {b"DIMENSION_LIST", b"REFERENCE_LIST", b"DIMENSION_LABELS"}
_HIDDEN_OF_SCALES = frozenset([b"CLASS", b"NAME"])
MISSING_SOURCES = "missing-sources"
"""Setting: what becomes of virtual datasets of which a source is not there."""
_HEAD = 512 * 1024
_H5PY = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError)
_ISOLATED = (RefmakerError, MemoryError, *_H5PY)
"""What one object may raise without costing the others: our errors, and those of h5py."""
_CODES = {TruncatedError: "truncated", SourceError: "source", LimitError: "budget"}


class FileScan:
    """Everything that is known of a file while it is scanned.

    Parameters
    ----------
    source : Source
        The file.
    options : ScanOptions
        How to scan.
    visited : frozenset of str
        URLs of the files whose links led here.
    nested : bool
        Whether this scan serves a virtual dataset of the same file, which cannot in turn be
        a source.

    Attributes
    ----------
    datasets : dict of int to OpenDataset
        What HDF5 says of each dataset, by the address of its header.
    nodes : dict of int to Array or Group
        What became of them.
    groups : dict of int to dict
        Attributes of each group, by address.
    scalars : bool
        Whether one-element attributes stand for scalars.
    """

    def __init__(
        self,
        source: Source,
        options: ScanOptions,
        visited: frozenset[str] = frozenset(),
        *,
        nested: bool = False,
    ) -> None:
        self._nested = nested
        self._source = source
        self._options = options
        self._visited = visited | {source.url}
        self._report = ScanReport(source.url, format="hdf5")
        self._objects: Objects
        self._reader: AttributeReader
        self._siblings: RelatedFiles
        self._attribute_names: dict[int, list[bytes]] = {}
        self.scalars = False
        self.groups: dict[int, dict[str, Any]] = {}
        self.datasets: dict[int, OpenDataset] = {}
        self.nodes: dict[int, Array | Group] = {}
        self._refusals: dict[int, tuple[Outcome, str, str]] = {}
        self._linked: dict[tuple[str, int], tuple[Group, ScanReport]] = {}
        self._linked_objects: dict[tuple[int, str], LinkedObject] = {}

    def run(self) -> tuple[Group, ScanReport]:
        """Scan the file.

        Raises
        ------
        FormatError
            If the HDF5 library cannot open it.
        """
        self._source.prefetch([(0, _HEAD)])
        with (
            open_file(self._source) as file,
            RelatedFiles(self._source, anywhere=self._options.follow_external) as siblings,
        ):
            self._siblings = siblings
            self._objects = walk(file, self._source)
            self._reader = AttributeReader(file, self._objects.names, self._report.warn)
            self._list_attributes()
            self._describe()
            scales = self._scales()
            places = self._places(scales)
            dimensions = Dimensions(scales, places, self._attached)
            self._make_arrays(dimensions)
            self.groups = self._group_attributes(dimensions)
            group = TreeBuilder(
                self._objects, self.nodes, self._refusals, self._report, self._linked_objects,
                dimensions.names,
            ).build(self.groups)  # fmt: skip
            for url, other in siblings.opened.items():
                self._report.sources[url] = other.fingerprint
            self._report.missing.extend(siblings.missing)
        self.scalars = self._reader.scalars
        for warning in dimensions.warnings:
            self._report.warn(warning)
        return group, self._report

    def _list_attributes(self) -> None:
        for address, identifier in self._objects.ids.items():
            try:
                self._attribute_names[address] = self._reader.names(identifier)
            except _ISOLATED as error:
                self._attribute_names[address] = []
                self._lose(f"{self._objects.names[address]}@*", error, "attribute")
        names = (name for names in self._attribute_names.values() for name in names)
        self._reader.scalars = any(name in _NETCDF_MARKS for name in names)

    def _describe(self) -> None:
        """Look at each dataset's type and space, and set apart what has no place in Zarr."""
        for address, kind in self._objects.kinds.items():
            if kind is not ObjectType.DATASET:
                continue
            path = self._objects.names[address]
            dataset = OpenDataset(self._objects.ids[address], path, address)
            try:
                if dataset.is_null:
                    self.nodes[address] = Group({}, self._attributes(address, path))
                    self._refusals[address] = (Outcome.METADATA, "it has no dataspace", "null")
                    continue
                _ = dataset.shape, dataset.maxshape, dataset.element, dataset.layout
                self.datasets[address] = dataset
            except _ISOLATED as error:
                self._refuse(address, error)

    def _scales(self) -> dict[int, Scale]:
        """Collect what names dimensions."""
        found = {}
        for address, dataset in self.datasets.items():
            scale = Scale(dataset.path, dataset.shape, dataset.maxshape)
            scale.is_scale = self._internal(address, b"CLASS") == "DIMENSION_SCALE"
            number = self._internal(address, b"_Netcdf4Dimid")
            scale.dimension_id = number if isinstance(number, int) else None
            listed = self._internal(address, b"_Netcdf4Coordinates")
            scale.coordinates = tuple(listed) if isinstance(listed, list) else ()
            scale.labels = _labels(self._internal(address, b"DIMENSION_LABELS"))
            if scale.is_scale and is_placeholder(self._internal(address, b"NAME")):
                self._refusals[address] = (
                    Outcome.METADATA, "a netCDF dimension without a variable", "dimension",
                )  # fmt: skip
            found[address] = scale
        return found

    def _places(self, scales: dict[int, Scale]) -> list[tuple[str, int]]:
        """Return where datasets are seen, in netCDF's order, and note those of other files."""
        found = []
        for group in self._objects.groups():
            path = self._objects.names[group].rstrip("/")
            for link in self._objects.links.get(group, ()):
                address = self._objects.target(group, link)
                if link.file is not None:
                    linked = self._external(link.file, link.target)
                    self._linked_objects[group, link.name] = linked
                    scale = linked.scale(f"{path}/{link.name}")
                    if scale is not None:
                        # No object has such an address.
                        address = linked.number = -2 - len(self._linked_objects)
                        scales[address] = scale
                if address in scales:
                    found.append((path, address))
        return found

    def _attached(self, address: int) -> list[list[int]]:
        """Return the addresses of the scales attached to each dimension of a dataset."""
        if b"DIMENSION_LIST" not in self._attribute_names.get(address, ()):
            return []
        dataset = self.datasets[address]
        try:
            return self._reader.references(dataset.id, b"DIMENSION_LIST")
        except _ISOLATED as error:
            self._lose(f"{dataset.path}@DIMENSION_LIST", error, "attribute")
            return []

    def _internal(self, address: int, name: bytes) -> Any:
        """Return an attribute of HDF5's or netCDF's own; None if there is none of use."""
        if name not in self._attribute_names.get(address, ()):
            return None
        try:
            value = self._reader.read(self._objects.ids[address], name)
        except _ISOLATED:
            return None
        return value

    def _make_arrays(self, dimensions: Dimensions) -> None:
        wanted = [d for a, d in self.datasets.items() if a not in self._refusals]
        finder = ChunkFinder(self._source, self._report.warn, verify=self._options.verify_index)
        small = [d for d in wanted if self._is_small(d)]
        chunked = [d for d in wanted if d.layout == h5py.h5d.CHUNKED and self._needs_chunks(d)]
        columns = finder.find(chunked)
        self._source.prefetch(self._data_of(small, columns))
        maker = ArrayMaker(
            self._source, self._options, self._siblings, self._path_of, self._report.warn
        )
        virtual = [d for d in wanted if d.layout == h5py.h5d.VIRTUAL]
        for dataset in [d for d in wanted if d.layout != h5py.h5d.VIRTUAL]:
            if dataset.element.form is ValueStorage.COLUMNS:
                self._keep_columns(dataset, dimensions)
                continue
            self._keep(dataset, dimensions, lambda d=dataset: maker.make(d, columns.get(d.address)))
        for dataset in virtual:
            self._keep(dataset, dimensions, lambda d=dataset: self._virtual(d))

    def _is_small(self, dataset: OpenDataset) -> bool:
        return inlinable(dataset, self._options.inline_threshold)

    def _needs_chunks(self, dataset: OpenDataset) -> bool:
        """Whether the positions of a dataset's chunks matter: to refer to them, or fetch them."""
        if dataset.element.form is not ValueStorage.RAW or not dataset.nbytes:
            return False
        return self._source.path is None or not self._is_small(dataset)

    def _data_of(
        self, small: list[OpenDataset], columns: dict[int, Any]
    ) -> Iterator[tuple[int, int]]:
        """Yield the byte ranges of what is about to be inlined."""
        for dataset in small:
            if dataset.layout == h5py.h5d.CONTIGUOUS:
                offset = dataset.id.get_offset()
                if offset is not None:
                    yield int(offset), dataset.nbytes
            elif dataset.address in columns and not isinstance(columns[dataset.address], Exception):
                found = columns[dataset.address]
                yield from zip(found.offset.tolist(), found.length.tolist(), strict=True)

    def _keep(self, dataset: OpenDataset, dimensions: Dimensions, make: Any) -> None:
        """Make one array complete, or note why it cannot be."""
        try:
            array = make()
            shape = (*dimensions.shape(dataset.address), *dataset.element.dims)
            if shape != array.shape:
                array = padded(array, shape, dataset, self._source, self._options.inline_budget)
            names = dimensions.names(dataset.address)
            inner = tuple(f"{dataset.path.rpartition('/')[2]}_dim_{i}" for i in range(
                len(array.shape) - len(names)
            ))  # fmt: skip
            attributes = {
                **dataset.element.attributes,
                **self._attributes(dataset.address, dataset.path),
            }
            for name, value in impossible_missing(attributes, array.dtype).items():
                del attributes[name]
                self._report.warn(
                    f"{dataset.path}: {name} {value!r} is left out: no {array.dtype} has that value"
                )
            array = replace(array, dimension_names=(*names, *inner), attributes=attributes)
            self.nodes[dataset.address] = settle_fill(
                array,
                self._options.inline_budget,
                lambda text: self._report.warn(f"{dataset.path}: {text}"),
            )
        except _ISOLATED as error:
            self._refuse(dataset.address, error)

    def _keep_columns(self, dataset: OpenDataset, dimensions: Dimensions) -> None:
        """Make the group of columns that stands for a dataset, or note why it cannot be."""
        try:
            node = read_columns(
                dataset, self._options.inline_budget, dimensions.names(dataset.address),
                self._path_of, self._report.warn,
            )  # fmt: skip
            attributes = self._attributes(dataset.address, dataset.path)
            self.nodes[dataset.address] = replace(node, attributes=attributes)
        except _ISOLATED as error:
            self._refuse(dataset.address, error)

    def _attributes(self, address: int, path: str) -> dict[str, Any]:
        """Return an object's attributes; one that cannot be read loses only itself."""
        found: dict[str, Any] = {}
        types: dict[str, str] = {}
        names = self._attribute_names.get(address, [])
        scale = b"CLASS" in names and self._internal(address, b"CLASS") == "DIMENSION_SCALE"
        for name in names:
            if name in _HIDDEN or (scale and name in _HIDDEN_OF_SCALES):
                continue
            key = name.decode("utf-8", "replace")
            try:
                found[key], code = self._reader.read_typed(self._objects.ids[address], name)
            except _ISOLATED as error:
                self._lose(f"{path}@{key}", error, "attribute")
                continue
            if code is not None:
                types[key] = code
        return with_types(found, types)

    def _group_attributes(self, dimensions: Dimensions) -> dict[int, dict[str, Any]]:
        found = {}
        for address, kind in self._objects.kinds.items():
            if kind is ObjectType.GROUP:
                path = self._objects.names[address]
                found[address] = self._attributes(address, path)
                unlimited = dimensions.unlimited.get(path.rstrip("/"))
                if unlimited:
                    found[address][UNLIMITED] = unlimited
        return found

    def _path_of(self, reference: Any) -> str:
        if not reference:
            return ""
        path = self._objects.names.get(self._reader.address(reference))
        if path is None:
            raise UnsupportedError(
                "a reference to an object that no link leads to", code="dtype-reference"
            )
        return path

    def _virtual(self, dataset: OpenDataset) -> Array:
        from refmaker.scanners.hdf5.virtual import virtual_array

        fill = self._options.settings.get(MISSING_SOURCES) == "fill"
        return virtual_array(
            dataset, self._find_source, self._expect, self._report.warn if fill else None
        )

    def _expect(self, file: str) -> None:
        """Note a file that is not there yet; what leads out of the folder is refused elsewhere."""
        with suppress(UnsupportedError):
            url = self._siblings.url(file)
            if file != "." and url not in self._siblings.missing:
                self._siblings.missing.append(url)

    def _find_source(self, file: str, path: str) -> Array:
        """Return the array of a virtual dataset's source, with its chunks as stored."""
        if self._nested:
            raise UnsupportedError("a virtual dataset over virtual datasets", code="virtual")
        options = replace(self._options, inline_threshold=0)
        url = self._source.url if file == "." else self._siblings.open(file).url
        group, report = self._scan_of(url, options)
        try:
            node = group[path]
        except KeyError:
            # What is there and cannot be read must not pass for missing, which may read as fill.
            lost = next((row for row in report.skipped if _lies_in(path, row.path)), None)
            if lost is not None:
                raise UnsupportedError(lost.reason, code=lost.code) from None
            raise SourceNotFoundError("there is no such dataset") from None
        if not isinstance(node, Array):
            raise UnsupportedError("it is a group", code="virtual")
        return node

    def _scan_of(self, url: str, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Scan another file, or this one again with other options; once each."""
        key = url, options.inline_threshold
        if key not in self._linked:
            source = self._source
            if url != source.url:
                if url in self._visited:
                    raise UnsupportedError("files that name each other in a circle", code="cycle")
                source = self._siblings.opened[url]
            nested = url == self._source.url
            inner = FileScan(source, options, self._visited, nested=nested)
            self._linked[key] = inner.run()
            self._report.sources.update(self._linked[key][1].sources)
            self._report.missing.extend(self._linked[key][1].missing)
        return self._linked[key]

    def _external(self, file: str, path: str) -> LinkedObject:
        """Return what an external link leads to."""
        try:
            return self._follow(file, path)
        except (RefmakerError, OSError) as error:
            return LinkedObject(error, [], frozenset())

    def _follow(self, file: str, path: str) -> LinkedObject:
        if not self._options.follow_external:
            raise UnsupportedError(
                f"a link to {path} in the file {file!r}",
                code="external-link",
                hint="follow it with `follow_external=True`",
            )
        url = self._siblings.open(file).url
        if url in self._visited:
            raise UnsupportedError(f"a link back to {path} in the file {file!r}", code="cycle")
        group, report = self._scan_of(url, self._options)
        target = "/".join(["", *filter(None, path.split("/"))])
        try:
            node = group[target] if target else group
        except KeyError:
            raise UnsupportedError(
                f"there is no {path} in the file {file!r}", code="external-link"
            ) from None
        rows = [
            replace(row, path=row.path.removeprefix(target))
            for row in report.rows
            if row.path.startswith((f"{target}/", f"{target}@")) and row.path != "/"
        ]
        return LinkedObject(node, rows, unlimited_of(group, target))

    def _refuse(self, address: int, error: Exception) -> None:
        self._refusals[address] = (Outcome.SKIPPED, _reason(error), _code(error))

    def _lose(self, path: str, error: Exception, code: str) -> None:
        self._report.add(path, Outcome.SKIPPED, _reason(error), code)


def _labels(value: Any) -> tuple[str, ...]:
    """Return labels of dimensions that can be names of dimensions; empty for others."""
    labels = value if isinstance(value, list) else [value]
    return tuple(label if isinstance(label, str) and "/" not in label else "" for label in labels)


def _lies_in(path: str, other: str) -> bool:
    """Tell whether an object is another one, or lies below it."""
    here, there = (list(filter(None, name.split("/"))) for name in (path, other))
    return bool(there) and here[: len(there)] == there


def _code(error: Exception) -> str:
    if isinstance(error, UnsupportedError):
        return error.code
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    return "unreadable"


def _reason(error: Exception) -> str:
    if isinstance(error, RefmakerError):
        text = f"{error.url}: {error.message}" if error.url else error.message
        return f"{text} ({error.hint})" if error.hint else text
    return str(error).strip("'\"") or type(error).__name__
