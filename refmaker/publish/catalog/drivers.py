"""Plug-ins for intake: reference sets are read safely, with few requests, and with a cache.

The entry point groups ``intake.drivers`` (first format) and ``intake.imports`` (second) name what
is here; nothing else imports this module, as it needs intake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from intake.readers import datatypes
from intake.readers.readers import FileReader
from intake.source.base import DataSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

__all__ = ["ReferenceSetData", "ReferenceSetToXarray", "RefmakerSource"]


class ReferenceSetData(datatypes.FileData):  # type: ignore[misc]  # intake is not typed
    """A reference set: kerchunk JSON, compact JSON or Parquet."""

    filepattern = r"refs\.(json|parq|parquet)(\.gz|\.zst)?$"
    structure: ClassVar[set[str]] = {"array", "hierarchy"}


class ReferenceSetToXarray(FileReader):  # type: ignore[misc]  # as above
    """Opens one group of a reference set; arguments are those of `refmaker.open_dataset`."""

    imports: ClassVar[set[str]] = {"refmaker", "xarray", "zarr"}
    implements: ClassVar[set[type]] = {ReferenceSetData, datatypes.JSONFile}
    func = "refmaker:open_dataset"
    output_instance = "xarray:Dataset"

    def _read(self, data: Any, **kwargs: Any) -> xr.Dataset:
        from refmaker.reading.open import open_dataset

        return open_dataset(data.url, storage_options=data.storage_options, **kwargs)


class RefmakerSource(DataSource):  # type: ignore[misc]  # as above
    """The driver ``refmaker`` of intake's first format.

    Parameters
    ----------
    urlpath : str
        The reference set.
    storage_options : mapping, optional
        For the files that hold the data.
    metadata : mapping, optional
        Kept by intake.
    **kwargs
        Passed to `refmaker.open_dataset`, such as ``group`` or ``cache``.
    """

    name = "refmaker"
    version = "1"
    container = "xarray"
    partition_access = False

    def __init__(
        self,
        urlpath: str,
        storage_options: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(metadata=metadata)
        self.urlpath = urlpath
        self._options = storage_options
        self._kwargs = kwargs

    def read(self) -> xr.Dataset:
        """Return the dataset, lazy as xarray itself makes it."""
        return self._open(chunks=None)

    def to_dask(self) -> xr.Dataset:
        """Return the dataset with dask arrays, one block per chunk."""
        return self._open(chunks={})

    def discover(self) -> xr.Dataset:
        """Return the dataset, of which nothing but metadata has been read."""
        return self.read()

    def _open(self, chunks: Any) -> xr.Dataset:
        from refmaker.reading.open import open_dataset

        given = {"chunks": chunks, **self._kwargs}
        return open_dataset(self.urlpath, storage_options=self._options, **given)
