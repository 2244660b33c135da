"""Reference sets as open Zarr groups and xarray datasets, through stock fsspec.

The chunks are handed to fsspec's own reference filesystem (``reference://``) with their URLs
already expanded, so no template of a document is ever evaluated by anything but
`refmaker.templates`.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs import package_of
from refmaker.errors import MetadataError, MissingDependencyError, UnsupportedError
from refmaker.metadata import documents, dumps
from refmaker.source import local_path
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import xarray as xr
    import zarr
    from zarr.abc.store import Store

    from refmaker.model import ChunkTable, Group

__all__ = ["open_dataset", "open_datatree", "open_group", "open_store", "references"]

Refs = ReferenceSet | str | os.PathLike[str]
_BASE64 = b"base64:"


def references(group: Group) -> dict[str, Any]:
    """Return a reference set as the plain mapping that fsspec's filesystem takes.

    Parameters
    ----------
    group : Group
        The root group.

    Returns
    -------
    dict
        Zarr keys to the text of a metadata document, an inlined chunk's bytes, ``[url]``, or
        ``[url, offset, length]``; reference specification, version 0.
    """
    found = dict(documents(group))
    consolidated = {"metadata": found, "zarr_consolidated_format": 1}
    refs: dict[str, Any] = {".zmetadata": dumps(consolidated)}
    refs.update((key, dumps(document)) for key, document in found.items())
    for path, array in group.arrays():
        refs.update(_chunk_references(path, array.chunks))
    return refs


def _chunk_references(path: str, table: ChunkTable) -> Iterator[tuple[str, Any]]:
    prefix = f"{path}/" if path else ""
    for number, data in table.inlined.items():
        at = np.unravel_index(number, table.grid) if table.grid else ()
        # fsspec takes this prefix for its own, so bytes that happen to begin with it are encoded.
        value = _BASE64 + base64.b64encode(data) if data.startswith(_BASE64) else data
        yield prefix + (".".join(str(int(part)) for part in at) or "0"), value
    if not table.referenced:
        return
    columns = [column.tolist() for column in table.coordinates()]
    names = [".".join(map(str, at)) for at in zip(*columns, strict=True)] if columns else ["0"]
    files = [0] * table.referenced if table.url is None else table.url.tolist()
    rows = zip(names, files, table.offset.tolist(), table.length.tolist(), strict=True)
    for name, file, offset, length in rows:
        url = table.urls[file]
        yield prefix + name, [url, offset, length] if offset or length else [url]


def open_group(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
) -> zarr.Group:
    """Open a reference set as a read-only Zarr group.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one in kerchunk JSON.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data; where they lie behind several
        protocols, a mapping of protocol to options.
    reference_options : mapping, optional
        Passed to fsspec for the reference file itself.

    Returns
    -------
    zarr.Group
        Its arrays read their chunks from the files in place.

    Raises
    ------
    SourceError
        If the reference file cannot be read.
    MetadataError
        If it is no reference set, or a set fetched from afar names local files.
    UnsupportedError
        If a URL is one that fsspec's reference filesystem does not read.
    MissingDependencyError
        If a protocol or a codec needs a package that is not installed.
    """
    import zarr

    store = _checked_store(refs, storage_options, reference_options)
    return zarr.open_group(store, mode="r", zarr_format=2, use_consolidated=True)


def open_dataset(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> xr.Dataset:
    """Open one group of a reference set as an xarray dataset.

    Parameters
    ----------
    refs, storage_options, reference_options
        As for `open_group`.
    **kwargs
        Passed to `xarray.open_dataset`, such as ``group="x"``, ``chunks={}`` or
        ``mask_and_scale=False``.

    Returns
    -------
    xarray.Dataset
        Lazy: values are read when they are used.

    Raises
    ------
    SourceError, MetadataError, UnsupportedError, MissingDependencyError
        As for `open_group`.
    """
    import xarray as xr

    store = _checked_store(refs, storage_options, reference_options)
    return xr.open_dataset(store, **{**_ENGINE, **kwargs})  # type: ignore[arg-type]


def open_datatree(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> xr.DataTree:
    """Open all groups of a reference set as an xarray tree.

    Parameters
    ----------
    refs, storage_options, reference_options
        As for `open_group`.
    **kwargs
        Passed to `xarray.open_datatree`.

    Returns
    -------
    xarray.DataTree
        Lazy: values are read when they are used.

    Raises
    ------
    SourceError, MetadataError, UnsupportedError, MissingDependencyError
        As for `open_group`.
    """
    import xarray as xr

    store = _checked_store(refs, storage_options, reference_options)
    return xr.open_datatree(store, **{**_ENGINE, **kwargs})  # type: ignore[arg-type]


_ENGINE: dict[str, Any] = {"engine": "zarr", "consolidated": True, "zarr_format": 2}


def open_store(group: Group, storage_options: Mapping[str, Any] | None = None) -> Store:
    """Return a read-only Zarr store of a reference set.

    Parameters
    ----------
    group : Group
        The root group.
    storage_options : mapping, optional
        As for `open_group`.

    Raises
    ------
    UnsupportedError, MissingDependencyError
        As for `open_group`.
    """
    from fsspec.implementations.reference import ReferenceFileSystem
    from zarr.storage import FsspecStore

    _register_codecs(group)
    targets = _targets(_urls(group), storage_options or {})
    fs = ReferenceFileSystem(references(group), fs=targets, asynchronous=True)
    return FsspecStore(fs, read_only=True, path="")


def _checked_store(
    refs: Refs,
    storage_options: Mapping[str, Any] | None,
    reference_options: Mapping[str, Any] | None,
) -> Store:
    if not isinstance(refs, ReferenceSet):
        name = os.fspath(refs)
        refs = ReferenceSet.read(name, reference_options)
        if local_path(name) is None:
            _refuse_local(name, refs.group)
    store = open_store(refs.group, storage_options)
    _check_codecs(refs.group)
    return store


def _urls(group: Group) -> Iterator[str]:
    """Yield every file that the chunks point into."""
    for _, array in group.arrays():
        if array.chunks.referenced:
            yield from array.chunks.urls


def _refuse_local(name: str, group: Group) -> None:
    """Refuse a set from afar that names local files: its author may not read them."""
    for url in _urls(group):
        if local_path(url) is not None:
            raise MetadataError(
                f"a reference set from afar names the local file {url}",
                url=name,
                hint="download the reference file first if you trust it",
            )


def _register_codecs(group: Group) -> None:
    """Entry points do this for an installed package; a source tree has none."""
    for _, array in group.arrays():
        if any(str(codec.get("id", "")).startswith("refmaker.") for codec in array.codecs):
            from refmaker.codecs import register

            register()
            return


def _check_codecs(group: Group) -> None:
    """Name the package to install, where zarr would only say that a codec is not available."""
    from numcodecs import get_codec
    from numcodecs.errors import UnknownCodecError

    seen = set()
    for path, array in group.arrays():
        for config in array.codecs:
            text = dumps(dict(config))
            if text not in seen:
                seen.add(text)
                try:
                    get_codec(dict(config))
                except (UnknownCodecError, ImportError) as error:
                    raise MissingDependencyError(
                        f"nothing that is installed decodes {config.get('id')!r}",
                        path=path,
                        hint=f"pip install {package_of(str(config.get('id')))}",
                    ) from error


def _targets(urls: Iterable[str], storage_options: Mapping[str, Any]) -> dict[str | None, Any]:
    """Return one asynchronous filesystem per protocol, as fsspec's reference filesystem needs.

    Left to itself it makes one for the first protocol it meets, and a synchronous one where
    zarr's event loop needs the other kind.
    """
    protocols: dict[str | None, Any] = {None: _filesystem("file", {})}
    used = dict.fromkeys(_protocol(url) for url in urls)
    remote = [name for name in used if name not in (None, "file")]
    nested = bool(storage_options) and all(
        key in used and isinstance(value, dict) for key, value in storage_options.items()
    )
    for name in used:
        if name is not None:
            options = storage_options if name in remote or nested else {}
            protocols[name] = _filesystem(name, options.get(name, {}) if nested else options)
    return protocols


def _protocol(url: str) -> str | None:
    from fsspec.core import split_protocol

    if "::" in url:
        raise UnsupportedError(
            "fsspec's reference filesystem does not read chained URLs",
            code="chained-url",
            url=url,
            hint="unpack the archive, and scan the file itself",
        )
    protocol: str | None = split_protocol(url)[0]
    return protocol


def _filesystem(protocol: str, options: Mapping[str, Any]) -> Any:
    import fsspec
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    try:
        if fsspec.get_filesystem_class(protocol).async_impl:
            return fsspec.filesystem(protocol, **{**options, "asynchronous": True})
        return AsyncFileSystemWrapper(fsspec.filesystem(protocol, **options), asynchronous=True)
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {protocol}:// needs a package that is not installed ({error})",
            hint="pip install 'refmaker[http]', 'refmaker[s3]', 'refmaker[gcs]' or similar",
        ) from error
    except ValueError as error:
        raise UnsupportedError(str(error), code="protocol-unknown") from error
