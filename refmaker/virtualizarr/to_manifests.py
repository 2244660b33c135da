"""Reference sets as VirtualiZarr's manifests: columns to columns, nothing chunk by chunk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from refmaker.errors import MetadataError, RefmakerError, UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.zarr_v3 import array_document_v3, group_document_v3
from refmaker.reading.data_files import tell_losses
from refmaker.storage.reference_set import ReferenceSet
from refmaker.virtualizarr.library import INLINED, MISSING, manifests

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from refmaker.model import ChunkTable

__all__ = ["to_store"]


def to_store(
    refs: ReferenceSet | Group,
    registry: Any,
    *,
    group: str | None = None,
    skip_variables: Collection[str] = (),
    strict: bool = False,
) -> Any:
    """Return a reference set as a ``virtualizarr.manifests.ManifestStore``.

    Parameters
    ----------
    refs : ReferenceSet or Group
        What a scan returned, or what was read of a written set.
    registry : obspec_utils.registry.ObjectStoreRegistry
        The stores that the files lie in.
    group : str, optional
        Path of the group that becomes the root.
    skip_variables : collection of str
        Names or paths of arrays and groups that are left out.
    strict : bool
        Whether an array that cannot be expressed is an error. Otherwise it is left out, has a row
        in the set's report, and is named by a warning.

    Returns
    -------
    virtualizarr.manifests.ManifestStore
        All other groups and arrays, as Zarr version 3.

    Raises
    ------
    MissingDependencyError
        If VirtualiZarr 2.8 or later is not installed.
    MetadataError
        If there is no such group.
    UnsupportedError
        If `strict`, and version 3 or a manifest cannot say what an array is.

    Examples
    --------
    >>> from obspec_utils.registry import ObjectStoreRegistry
    >>> from obstore.store import LocalStore
    >>> from refmaker.virtualizarr import to_store
    >>> registry = ObjectStoreRegistry({"file://": LocalStore()})
    >>> store = to_store(refmaker.scan("examples/air.nc"), registry)
    >>> sorted(store.to_virtual_dataset().variables)
    ['air', 'lat', 'lon', 'time']
    """
    library = manifests()
    from refmaker.codecs.zarr3 import register_codec

    register_codec()
    report = refs.report if isinstance(refs, ReferenceSet) else ScanReport("")
    root = _chosen(refs.group if isinstance(refs, ReferenceSet) else refs, group)
    sizes = {url: known.size for url, known in report.sources.items() if known is not None}
    lost = ScanReport(report.url)
    members: dict[str, dict[str, Any]] = {}
    for path, node in reversed([*root.walk()]):
        above, _, name = path.rpartition("/")
        if path and _skipped(path, skip_variables):
            continue
        if isinstance(node, Array):
            try:
                made = _manifest_array(library, node, name, sizes)
            except RefmakerError as error:
                if strict:
                    raise error.located(url=report.url or None, path=path) from error
                lost.add(path, Outcome.SKIPPED, str(error), getattr(error, "code", "virtualizarr"))
                continue
        else:
            made = _manifest_group(library, node, members.pop(path, {}))
        if not path:
            break
        members.setdefault(above, {})[name] = made
    report.extend(reversed(lost.rows))
    tell_losses(lost)
    return library.ManifestStore(group=made, registry=registry)


def _chosen(root: Group, path: str | None) -> Group:
    if not (path or "").strip("/"):
        return root
    try:
        found = root[path or ""]
    except KeyError:
        found = None
    if isinstance(found, Group):
        return found
    known = [name for name, node in root.walk() if name and isinstance(node, Group)]
    shown = ", ".join(map(repr, known[:12])) or "none"
    raise MetadataError(f"there is no group {path!r}", hint=f"groups: {shown}")


def _skipped(path: str, names: Collection[str]) -> bool:
    """Whether an array, or a group that it lies in, is to be left out."""
    parts = path.split("/")
    return any("/".join(parts[: n + 1]) in names or parts[n] in names for n in range(len(parts)))


def _manifest_group(library: Any, group: Group, members: Mapping[str, Any]) -> Any:
    # They were found from the last to the first.
    ordered = dict(reversed([*members.items()]))
    arrays = {n: m for n, m in ordered.items() if isinstance(m, library.ManifestArray)}
    groups = {n: m for n, m in ordered.items() if n not in arrays}
    attributes = group_document_v3(group)["attributes"]
    return library.ManifestGroup(arrays=arrays, groups=groups, attributes=attributes)


def _manifest_array(library: Any, array: Array, name: str, sizes: Mapping[str, int]) -> Any:
    from zarr.core.metadata.v3 import ArrayV3Metadata

    document = array_document_v3(array)
    # The only separator with which a manifest store lists its chunks.
    document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "."}}
    # Without names there is no virtual dataset; those of several arrays must not clash.
    names = [f"{name}_dim_{axis}" for axis in range(len(array.shape))]
    document.setdefault("dimension_names", names)
    try:
        metadata = ArrayV3Metadata.from_dict(document)
        return library.ManifestArray(
            metadata=metadata, chunkmanifest=_manifest(library, array.chunks, sizes)
        )
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        if isinstance(error, RefmakerError):
            raise
        raise UnsupportedError(
            f"zarr or VirtualiZarr does not take it: {error}", code="virtualizarr"
        ) from error


def _manifest(library: Any, table: ChunkTable, sizes: Mapping[str, int]) -> Any:
    text: Any = np.dtypes.StringDType()
    names = np.array([MISSING, *map(_uri, table.urls), INLINED], text)
    number = np.zeros(table.size, np.int32)
    offset, length = np.zeros(table.size, np.uint64), np.zeros(table.size, np.uint64)
    rows: Any = slice(None) if table.index is None else table.index.astype(np.int64)
    number[rows] = 1 if table.url is None else table.url + 1
    offset[rows], length[rows] = table.offset, table.length
    empty = table.length == 0
    if empty.any():
        known = _whole_sizes(table, empty, sizes)
        where = np.flatnonzero(empty) if table.index is None else table.index[empty].astype("i8")
        length[where] = known
    inlined: dict[tuple[int, ...], bytes] = {}
    for place, data in table.inlined.items():
        if not data:
            raise UnsupportedError("a chunk of no bytes", code="virtualizarr")
        number[place], length[place] = len(names) - 1, len(data)
        at = np.unravel_index(place, table.grid) if table.grid else ()
        inlined[tuple(int(i) for i in at)] = bytes(data)
    return library.ChunkManifest.from_arrays(
        paths=names[number].reshape(table.grid),
        offsets=offset.reshape(table.grid),
        lengths=length.reshape(table.grid),
        validate_paths=False,
        inlined=inlined,
    )


def _whole_sizes(table: ChunkTable, empty: Any, sizes: Mapping[str, int]) -> Any:
    """Return the bytes of files that are chunks as a whole: manifests have to say it."""
    if bool(np.any(table.offset[empty])):
        raise UnsupportedError("a chunk of no bytes", code="virtualizarr")
    files = np.zeros(table.referenced, np.int32) if table.url is None else table.url
    used = np.unique(files[empty]).tolist()
    for one in used:
        if not sizes.get(table.urls[one]):
            raise UnsupportedError(
                f"the size of {table.urls[one]}, which is one chunk, is not known",
                code="virtualizarr",
                hint="scan it again",
            )
    told = np.array([sizes.get(url, 0) for url in table.urls], np.uint64)
    return told[files[empty]]


def _uri(url: str) -> str:
    """Return a file's name as manifest stores find it, where nothing is percent-decoded."""
    path = local_path(url)
    found = url if path is None else f"file://{os.path.abspath(path)}"
    # A manifest store takes no more of a URL than host and path.
    parts = urlsplit(found)
    if "::" in found or f"{parts.scheme}://{parts.netloc}{parts.path}" != found:
        problem = "is a chain, or holds '?' or '#', which VirtualiZarr cuts off"
    elif parts.path.startswith("//") or (";" in parts.path and parts.scheme in ("http", "https")):
        problem = "holds '//' or ';', which VirtualiZarr cuts off"
    else:
        return found
    raise UnsupportedError(
        f"the name of {url} {problem}",
        code="virtualizarr-name",
        hint="rename the file, or write the set: `refs.write('refs.json')`",
    )
