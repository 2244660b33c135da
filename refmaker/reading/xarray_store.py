"""What xarray is told of a reference set beyond what its own engine for Zarr reads out of it.

xarray's engines for netCDF know the types of attributes, which dimensions are unlimited and the
dtype of records; its engine for Zarr cannot, and it hands on how chunks are compressed, which is
of no use to those who write the data elsewhere. Here all that is as with the engines for netCDF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from xarray import DataTree, Variable
from xarray.backends import BackendArray, BackendEntrypoint, StoreBackendEntrypoint
from xarray.backends.zarr import ZarrStore
from xarray.core import indexing

from refmaker.codecs.native_libraries import load_proj_before_eccodes
from refmaker.errors import MetadataError
from refmaker.model.attribute_types import TYPES, typed_attributes
from refmaker.model.record_dtypes import RECORD, record_from_document
from refmaker.model.zarr_v2 import UNLIMITED
from refmaker.storage.zarr3_keys import hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from refmaker.reading.reader import Reader

__all__ = ["PARAMETERS", "StoreBackend", "XarrayStore"]

# xarray may import ecCodes from now on.
load_proj_before_eccodes()

PARAMETERS = (
    *("filename_or_obj", "drop_variables", "mask_and_scale", "decode_times"),
    *("concat_characters", "use_cftime", "decode_timedelta", "decode_coords", "group"),
)
_FILL = "_FillValue"
_DIMENSIONS = "_ARRAY_DIMENSIONS"
_OPENING = frozenset({"group", "consolidated", "zarr_format"})
_OF_ZARR = frozenset(
    {"chunks", "compressor", "compressors", "fill_value", "filters", "serializer", "shards"}
)
"""Encodings that are how the chunks of references are stored, not how values are meant."""
_SHOWN = 12


class XarrayStore(ZarrStore):
    """A group of a reference set, as xarray reads it."""

    __slots__ = ()

    def open_store_variable(self, name: str, *array: Any) -> Variable:
        """Return a variable with attributes of their own types, and encodings that can be written.

        Parameters
        ----------
        *array : zarr.Array
            What older versions of xarray have at hand.
        """
        held: Any = array[0] if array else self.members[name]
        if held.ndim and _DIMENSIONS not in held.attrs and not _named(held.metadata):
            raise MetadataError(
                "xarray needs names of dimensions, and the set has none for this array",
                path=f"/{held.path}",
                hint="read it with refmaker.open_group, which needs none",
            )
        if not held.ndim and not _named(held.metadata):
            held.metadata.attributes.setdefault(_DIMENSIONS, [])
        variable: Variable = super().open_store_variable(name, *array)  # type: ignore[no-untyped-call]
        document = held.attrs.asdict() | self._hidden(held.path)
        typed = typed_attributes(document) if TYPES in document else document
        filled = held.fill_value is not None
        attributes = {
            key: typed.get(key, value) if key != _FILL or not filled else value
            for key, value in variable.attrs.items()
        }
        encoding = {key: value for key, value in variable.encoding.items() if key not in _OF_ZARR}
        data: Any = variable._data  # noqa: SLF001 - `data` would read it
        if RECORD in document or held.dtype.names is not None:
            dtype = held.dtype
            if RECORD in document:
                dtype = record_from_document(document[RECORD], dtype)
            data = indexing.LazilyIndexedArray(_Records(data.array, dtype))
        return Variable(variable.dims, data, attributes, encoding, fastpath=True)

    def get_attrs(self) -> dict[str, Any]:
        """Return the group's attributes with their types."""
        shown: Mapping[str, Any] = super().get_attrs()  # type: ignore[no-untyped-call]
        document = self.zarr_group.attrs.asdict() | self._hidden(self.zarr_group.path)
        typed = typed_attributes(document) if TYPES in document else document
        return {key: typed.get(key, value) for key, value in shown.items()}

    def _hidden(self, path: str) -> dict[str, Any]:
        """Return attributes that documents of version 3 leave out."""
        reader = getattr(self.zarr_group.store, "reader", None)
        if reader is None or reader.version == 2:
            return {}
        return hidden(reader.references.header, path)

    def get_encoding(self) -> dict[str, Any]:
        """Return the unlimited dimensions, if the set tells them."""
        names = self.zarr_group.attrs.asdict().get(UNLIMITED)
        return {"unlimited_dims": set(names)} if isinstance(names, list) else {}


def _named(metadata: Any) -> bool:
    """Whether metadata of version 3 name dimensions; those of version 2 have no place for it."""
    return getattr(metadata, "dimension_names", None) is not None


class _Records(BackendArray):
    """Flat records as the dtype that they have in their file.

    Their numbers are in the machine's byte order, as all that xarray reads: of records in another
    one it would keep nothing but the bytes.
    """

    def __init__(self, flat: Any, dtype: np.dtype[Any]) -> None:
        self._flat = flat
        self._held = dtype
        self.dtype = dtype.newbyteorder("=")
        self.shape = flat.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return self._seen(self._flat[key])

    async def async_getitem(self, key: Any) -> NDArray[Any]:
        """Return elements, as `__getitem__` does."""
        return self._seen(await self._flat.async_getitem(key))

    def _seen(self, flat: Any) -> NDArray[Any]:
        values = np.asarray(flat)
        records = np.ascontiguousarray(values).view(self._held).reshape(values.shape)
        return records.astype(self.dtype, copy=False)


def _only_group(reader: Reader) -> str | None:
    """Return the group with arrays, if it is the only one; None for the root."""
    groups = dict.fromkeys(path.rpartition("/")[0] for path in reader.array_paths())
    if "" in groups or not groups:
        return None
    if len(groups) == 1:
        return next(iter(groups))
    names = [repr(name) for name in groups]
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    raise MetadataError(
        f"the root group has no arrays, and {len(groups)} other groups have: {shown}",
        url=reader.origin,
        hint=f"choose one, such as `group={names[0]}`, or open them all: xarray.open_datatree",
    )


class StoreBackend(BackendEntrypoint):
    """xarray's way to open reference sets that are open as stores."""

    supports_groups = True
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = PARAMETERS

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> xr.Dataset:
        """Open one group of a reference set.

        Parameters
        ----------
        filename_or_obj : RefmakerStore
            Or what subclasses make one of.
        drop_variables : str or iterable of str, optional
            Variables that are left out.
        **kwargs
            As for `refmaker.open_dataset`.
        """
        store, rest = self._store(filename_or_obj, kwargs)
        opening = {key: rest.pop(key) for key in _OPENING & rest.keys()}
        if opening.get("group") is None:
            opening["group"] = _only_group(store.reader)
        group = XarrayStore.open_group(store, mode="r", **opening)
        return StoreBackendEntrypoint().open_dataset(group, drop_variables=drop_variables, **rest)

    def open_datatree(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> xr.DataTree:
        """Open all groups of a reference set as a tree; see `open_dataset`."""
        return DataTree.from_dict(
            self.open_groups_as_dict(filename_or_obj, drop_variables=drop_variables, **kwargs)
        )

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, xr.Dataset]:
        """Open all groups of a reference set as datasets, by path; see `open_dataset`."""
        store, rest = self._store(filename_or_obj, kwargs)
        opening = {key: rest.pop(key) for key in _OPENING & rest.keys()}
        top = "/" + (opening.pop("group", None) or "").strip("/")
        found = XarrayStore.open_store(store, group=top, mode="r", **opening)
        return {
            "/" + path[len(top) :].strip("/"): StoreBackendEntrypoint().open_dataset(
                group, drop_variables=drop_variables, **rest
            )
            for path, group in found.items()
        }

    def _store(self, store: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        known = {"zarr_format": 2} if store.reader.version == 2 else {}
        return store, {**known, "consolidated": store.reader.consolidated, **kwargs}
