"""What xarray is told of a reference set beyond what its own engine for Zarr reads out of it.

xarray's engines for netCDF know the types of attributes, which dimensions are unlimited and the
dtype of records; its engine for Zarr cannot, and it hands on how chunks are compressed, which is
of no use to those who write the data elsewhere. Here all that is as with the engines for netCDF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray import Variable
from xarray.backends import BackendArray, StoreBackendEntrypoint
from xarray.backends.zarr import ZarrStore
from xarray.core import indexing

from refmaker.model.attribute_types import typed_attributes
from refmaker.model.record_dtypes import RECORD, record_from_document
from refmaker.model.zarr_v2 import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["XarrayStore", "open_groups"]

_FILL = "_FillValue"
_OF_ZARR = frozenset(
    {"chunks", "compressor", "compressors", "fill_value", "filters", "serializer", "shards"}
)
"""Encodings that are how the chunks of references are stored, not how values are meant."""


class XarrayStore(ZarrStore):  # type: ignore[misc] # xarray's is not typed
    """A group of a reference set, as xarray reads it."""

    __slots__ = ()

    def open_store_variable(self, name: str, *array: Any) -> Variable:
        """Return a variable with attributes of their own types, and encodings that can be written.

        Parameters
        ----------
        name : str
            The variable.
        *array : zarr.Array
            What older versions of xarray have at hand.
        """
        variable = super().open_store_variable(name, *array)
        held = array[0] if array else self.members[name]
        document = held.attrs.asdict()
        typed = typed_attributes(document)
        filled = held.fill_value is not None
        attributes = {
            key: typed.get(key, value) if key != _FILL or not filled else value
            for key, value in variable.attrs.items()
        }
        encoding = {key: value for key, value in variable.encoding.items() if key not in _OF_ZARR}
        data = variable._data  # noqa: SLF001 - `data` would read it
        if RECORD in document:
            dtype = record_from_document(document[RECORD], held.dtype)
            data = indexing.LazilyIndexedArray(_Records(data.array, dtype))
        return Variable(variable.dims, data, attributes, encoding, fastpath=True)

    def get_attrs(self) -> dict[str, Any]:
        """Return the group's attributes with their types."""
        shown: Mapping[str, Any] = super().get_attrs()
        typed = typed_attributes(self.zarr_group.attrs.asdict())
        return {key: typed.get(key, value) for key, value in shown.items()}

    def get_encoding(self) -> dict[str, Any]:
        """Return the unlimited dimensions, if the set tells them."""
        names = self.zarr_group.attrs.asdict().get(UNLIMITED)
        return {"unlimited_dims": set(names)} if isinstance(names, list) else {}


class _Records(BackendArray):  # type: ignore[misc] # xarray's is not typed
    """Flat records as the dtype that they have in their file; the bytes are the same."""

    def __init__(self, flat: Any, dtype: np.dtype[Any]) -> None:
        self._flat = flat
        self.dtype = dtype
        self.shape = flat.shape

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return self._seen(self._flat[key])

    async def async_getitem(self, key: Any) -> NDArray[Any]:
        """Return elements, as `__getitem__` does."""
        return self._seen(await self._flat.async_getitem(key))

    def _seen(self, flat: Any) -> NDArray[Any]:
        values = np.asarray(flat)
        return np.ascontiguousarray(values).view(self.dtype).reshape(values.shape)


def open_groups(
    store: Any, group: str | None, drop_variables: Any, kwargs: Mapping[str, Any]
) -> dict[str, xr.Dataset]:
    """Return the groups below one as datasets, by path from there.

    Parameters
    ----------
    store : RefmakerStore
        The set.
    group : str, optional
        The group; the root by default.
    drop_variables : str or iterable of str, optional
        Variables that are left out.
    kwargs : mapping
        Of xarray's decoders, ``zarr_format`` and ``consolidated``.
    """
    top = "/" + (group or "").strip("/")
    opening = {key: kwargs[key] for key in ("zarr_format", "consolidated") if key in kwargs}
    decoding = {key: value for key, value in kwargs.items() if key not in opening}
    found = XarrayStore.open_store(store, group=top, mode="r", **opening)
    return {
        "/" + path[len(top) :].strip("/"): StoreBackendEntrypoint().open_dataset(
            one, drop_variables=drop_variables, **decoding
        )
        for path, one in found.items()
    }
