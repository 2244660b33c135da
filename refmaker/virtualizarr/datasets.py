"""Virtual xarray datasets as reference sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.model import Array, Group
from refmaker.model.dtypes import fill_from_document, json_number
from refmaker.model.inline import encode_inline
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.virtualizarr.from_manifests import array_from_manifest
from refmaker.virtualizarr.library import manifests

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

__all__ = ["from_dataset"]

_FILL = "_FillValue"
_HIDDEN = frozenset({"_ARRAY_DIMENSIONS", "source", "original_shape", "chunksizes", "chunks"})
_STORED = frozenset(
    {"preferred_chunks", "compressor", "compressors", "filters", "serializer", "shards", "dtype"}
)
"""Encodings that are how values are stored, and no attributes of what they mean."""


def from_dataset(dataset: xr.Dataset, *, inline_budget: int | None = None) -> ReferenceSet:
    """Return a virtual dataset as a reference set, after whatever was done to it in xarray.

    Parameters
    ----------
    dataset : xarray.Dataset
        What ``open_virtual_dataset`` or ``open_virtual_mfdataset`` returned, concatenated, renamed,
        cut. Its loaded variables are kept in the set itself.
    inline_budget : int, optional
        Bytes that one loaded variable may take; by default those of `refmaker.ScanOptions`.

    Returns
    -------
    ReferenceSet
        One group.

    Raises
    ------
    MissingDependencyError
        If VirtualiZarr 2.8 or later is not installed.
    LimitError
        If a loaded variable takes more than `inline_budget`.
    MetadataError, UnsupportedError
        If a variable or attribute cannot be expressed.

    Examples
    --------
    >>> from obspec_utils.registry import ObjectStoreRegistry
    >>> from obstore.store import LocalStore
    >>> from virtualizarr import open_virtual_dataset
    >>> from refmaker.virtualizarr import Parser, from_dataset
    >>> registry = ObjectStoreRegistry({"file://": LocalStore()})
    >>> vds = open_virtual_dataset("examples/air.nc", registry=registry, parser=Parser())
    >>> list(from_dataset(vds.rename(air="t2m")))
    ['time', 'lat', 'lon', 't2m']
    """
    library = manifests()
    from xarray.conventions import encode_dataset_coordinates

    most = ScanOptions().inline_budget if inline_budget is None else inline_budget
    report = ScanReport("", format="virtualizarr")
    variables, attributes = encode_dataset_coordinates(dataset)
    members: dict[str, Array | Group] = {}
    for name, variable in variables.items():
        virtual = isinstance(variable.data, library.ManifestArray)
        try:
            made = _virtual(variable, report) if virtual else _loaded(variable, most)
        except RefmakerError as error:
            raise error.located(path=str(name)) from error
        members[str(name)] = made
        outcome = Outcome.REFERENCED if virtual else Outcome.INLINED
        report.add(f"/{name}", outcome, "" if virtual else "it was loaded")
    return ReferenceSet(Group(members, _json(attributes)), report)


def _virtual(variable: Any, report: ScanReport) -> Array:
    from dataclasses import replace

    made = array_from_manifest(variable.data, report)
    hidden = {k: v for k, v in variable.encoding.items() if k not in _HIDDEN | _STORED}
    told = _json({**variable.attrs, **hidden})
    # What the variable says of missing values is what the array has said already, or was changed.
    missing = told.pop(_FILL, None)
    if missing is not None and made.fill_value is None:
        told[_FILL] = made.attributes.get(_FILL, missing)
    names = tuple(map(str, variable.dims))
    return replace(made, attributes=told, dimension_names=names)


def _loaded(variable: Any, most: int) -> Array:
    """Return a variable in memory as an array that holds its values itself."""
    if variable.nbytes > most:
        raise LimitError(
            f"{variable.nbytes} bytes are loaded, and at most {most} are kept in the set",
            hint="leave it out of VirtualiZarr's loadable_variables, or raise `inline_budget`",
        )
    from xarray.backends.zarr import encode_zarr_variable

    encoded = encode_zarr_variable(variable)
    values = np.asarray(encoded.values)
    shape = values.shape
    filters: tuple[Mapping[str, Any], ...] = ()
    if values.dtype.kind in "OT":
        from numcodecs import VLenUTF8

        texts = np.ascontiguousarray(values.astype(object))
        data, dtype = bytes(VLenUTF8().encode(texts)), np.dtype(object)
        filters, itemsize = ({"id": "vlen-utf8"},), 1
    else:
        dtype = values.dtype.newbyteorder("<")
        data, itemsize = values.astype(dtype, order="C", copy=False).tobytes(), dtype.itemsize
    chunk = encode_inline(data, itemsize)
    attributes = _json(encoded.attrs)
    missing = attributes.pop(_FILL, None)
    fits = missing is not None and dtype.kind in "iuf"
    return Array(
        shape,
        tuple(max(1, extent) for extent in shape),
        dtype,
        chunk.table(shape),
        fill_value=fill_from_document(missing, dtype) if fits else None,
        filters=(*filters, *chunk.filters),
        compressor=chunk.compressor,
        dimension_names=tuple(map(str, variable.dims)),
        attributes=attributes,
    )


def _json(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _plain(value, str(name)) for name, value in attributes.items()}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, name) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if value is None or isinstance(value, str | int | bool):
        return value
    raise MetadataError(f"the attribute {name!r} is {value!r:.80}, which JSON has no word for")
