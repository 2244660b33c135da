"""Reference sets as open Zarr stores, groups and xarray datasets."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from refmaker.codecs import FOREIGN, package_of, register
from refmaker.errors import MissingDependencyError
from refmaker.model import Group
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    import zarr
    from zarr.abc.store import Store

    from refmaker.reading.planner import Plan
    from refmaker.reading.reader import Reader
    from refmaker.reading.store import RefmakerStore

__all__ = [
    "Refs",
    "loaded",
    "open_array",
    "open_arrays",
    "open_dataset",
    "open_datatree",
    "open_group",
    "open_store",
    "open_version",
]

Named = str | os.PathLike[str]
Refs = ReferenceSet | Group | Named | Sequence[Named]
_OPTIONS = frozenset({"allow", "cache", "cache_bytes", "codecs", "plan", "scan", "verify_sources"})


def open_arrays(
    refs: ReferenceSet | Group, storage_options: Mapping[str, Any] | None = None, **opening: Any
) -> RefmakerStore:
    """Open a reference set as `open_store`, but leave arrays that cannot be decoded to readers."""
    return _store(refs, storage_options, None, whole=False, **opening)


def open_version(
    refs: ReferenceSet | Group,
    zarr_format: int,
    storage_options: Mapping[str, Any] | None = None,
    **opening: Any,
) -> RefmakerStore:
    """Open a reference set in memory as `open_store`, its metadata in one version of Zarr.

    Raises
    ------
    UnsupportedError
        If the version cannot say what is there.
    RefmakerError
        As `open_store`.
    """
    return _store(refs, storage_options, None, zarr_format=zarr_format, **opening)


def loaded(
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    *,
    allow: Sequence[str] | None = None,
    scan: Mapping[str, Any] | None = None,
) -> ReferenceSet | Group:
    """Return a reference set, or what can be scanned, as a whole in memory.

    Parameters
    ----------
    refs, storage_options, reference_options, allow, scan
        As for `open_store`.

    Raises
    ------
    RefmakerError
        As `open_store`.
    """
    if isinstance(refs, ReferenceSet | Group):
        return refs
    if not _is_json(refs):
        from refmaker.reading.data_files import scan_data

        found = scan_data(refs, storage_options, reference_options, scan)
        if found is not None:
            return found
    return ReferenceSet.read(cast(Named, refs), reference_options, allow=allow)


def open_store(  # noqa: PLR0913 - each is a choice of its own
    refs: Refs,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    *,
    verify_sources: str = "size",
    allow: Sequence[str] | None = None,
    codecs: Sequence[str] = (),
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int = 10 * 1024**3,
    plan: Plan | None = None,
    scan: Mapping[str, Any] | None = None,
) -> RefmakerStore:
    """Open a reference set, or what can be scanned, as a read-only Zarr store.

    Parameters
    ----------
    refs : ReferenceSet, Group, str, os.PathLike, or sequence of such names
        A reference set, or the path or URL of one: kerchunk JSON (version 0 or 1, also
        compressed by gzip or Zstandard) or a folder of kerchunk Parquet. What is a data file
        is scanned on the fly; so are files that are one object together: a folder, a pattern
        such as ``*.grib2``, a list. A warning names what cannot be referenced.
    storage_options : mapping, optional
        Passed to fsspec for the files that hold the data. Either options for all of them; or
        a mapping of protocols (``"s3"``) or prefixes (``"https://host/data/"``) to options, of
        which the longest that fits counts. Secrets for all files go to one host only.
    reference_options : mapping, optional
        Passed to fsspec for the reference file itself.
    verify_sources : {"size", "full", "off"}
        What to compare with the fingerprints that the set recorded when it was made: what
        comes with the bytes (size and ETag of each answer over HTTP, size and time of local
        files); also what has to be asked for, and the times that servers tell; or nothing.
    allow : sequence of str, optional
        Protocols and prefixes that the set may name. By default a set from afar may name what
        is behind its own protocol, and nothing on this machine.
    codecs : sequence of str
        Ids of codecs to allow beside those that are known to decode and do nothing else.
    cache : str or os.PathLike, optional
        Folder in which fetched chunks are kept for the next time.
    cache_bytes : int
        Bytes that this folder may take; what was unused for longest is dropped.
    plan : Plan, optional
        How requests are gathered and merged.
    scan : mapping, optional
        How to scan a data file: keywords of `refmaker.scan`. Its ``cache`` is on here.

    Returns
    -------
    RefmakerStore
        A `zarr.abc.store.Store`.

    Raises
    ------
    SourceError
        If the reference file cannot be read.
    MetadataError
        If it contradicts itself, or names what it may not (`PolicyError`).
    UnknownFormatError, FormatError
        If it is neither a reference set nor a file that can be scanned.
    LimitError
        If it is larger than can be in good faith.
    UnsupportedError
        If a URL is one that is not read.
    MissingDependencyError
        If a protocol or a codec needs a package that is not installed.

    Examples
    --------
    >>> import zarr
    >>> store = refmaker.open_store("examples/air.nc")
    >>> zarr.open_group(store, mode="r")["air"].shape
    (124, 11, 21)
    """
    return _store(
        refs,
        storage_options,
        reference_options,
        verify_sources=verify_sources,
        allow=allow,
        codecs=codecs,
        cache=cache,
        cache_bytes=cache_bytes,
        plan=plan,
        scan=scan,
    )


def _store(  # noqa: PLR0913 - as open_store
    refs: Refs,
    storage_options: Mapping[str, Any] | None,
    reference_options: Mapping[str, Any] | None,
    *,
    whole: bool = True,
    zarr_format: int | None = None,
    verify_sources: str = "size",
    allow: Sequence[str] | None = None,
    codecs: Sequence[str] = (),
    cache: str | os.PathLike[str] | None = None,
    cache_bytes: int = 10 * 1024**3,
    plan: Plan | None = None,
    scan: Mapping[str, Any] | None = None,
) -> RefmakerStore:
    from refmaker.reading.planner import Plan as DefaultPlan
    from refmaker.reading.reader import Options
    from refmaker.reading.store import RefmakerStore

    options = Options(
        storage_options=dict(storage_options or {}),
        verify_sources=verify_sources,
        allow=None if allow is None else tuple(allow),
        codecs=tuple(codecs),
        plan=plan or DefaultPlan(width=_width()),
        cache=None if cache is None else os.path.abspath(cache),
        cache_bytes=cache_bytes,
    )
    if not isinstance(refs, ReferenceSet | Group) and not _is_json(refs):
        from refmaker.reading.data_files import scan_data

        refs = scan_data(refs, storage_options, reference_options, scan) or refs
    reader = _reader(refs, reference_options, options, zarr_format)
    _check_codecs(reader, whole=whole and not isinstance(refs, Group))
    return RefmakerStore(reader)


def _is_json(name: Any) -> bool:
    """Whether a name is that of no data file, so that none of what scans need be loaded."""
    return isinstance(name, str | os.PathLike) and os.fspath(name).endswith(".json")


def _width() -> int:
    """Return how many chunks Zarr asks for at the same time."""
    import zarr

    return int(zarr.config.get("async.concurrency") or 10)


def _reader(
    refs: Refs,
    reference_options: Mapping[str, Any] | None,
    options: Any,
    zarr_format: int | None = None,
) -> Reader:
    from refmaker.reading.reader import Reader, open_reader
    from refmaker.storage.reference_index import ReferenceIndex

    if isinstance(refs, Group):
        return Reader(ReferenceIndex.of_group(refs, None, zarr_format), None, options)
    if isinstance(refs, ReferenceSet):
        known = refs.report.sources.items()
        sources = {url: found.as_dict() for url, found in known if found is not None}
        references = ReferenceIndex.of_group(refs.group, {"sources": sources}, zarr_format)
        return Reader(references, None, options, policy=refs.policy)
    return open_reader(os.fspath(cast(Named, refs)), reference_options, options)


def _check_codecs(reader: Reader, *, whole: bool) -> None:
    """Name the package to install, where Zarr would only say that a codec is not available.

    Unless `whole`, an array that cannot be decoded is left to those who read it.
    """
    from numcodecs import get_codec
    from numcodecs.errors import UnknownCodecError

    seen: dict[str, str] = {}
    registered = False
    for path, config in reader.codec_configs(check=whole):
        seen.setdefault(json.dumps(config, sort_keys=True), path)
    for text, path in seen.items():
        config = json.loads(text)
        name = str(config.get("id"))
        if not registered and (name.startswith("refmaker.") or name in FOREIGN):
            # Entry points do this for an installed package; a source tree has none, and ids of
            # others have none here.
            register()
            registered = True
        if not whole:
            continue
        try:
            get_codec(dict(config))
        except (UnknownCodecError, ImportError) as error:
            raise MissingDependencyError(
                f"nothing that is installed decodes {config.get('id')!r}",
                path=path,
                hint=f"pip install {package_of(str(config.get('id')))}",
            ) from error


def open_group(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> zarr.Group:
    """Open a reference set as a read-only Zarr group.

    Parameters
    ----------
    refs, storage_options, reference_options, **options
        As for `open_store`.

    Returns
    -------
    zarr.Group
        Its arrays read their chunks from the files in place.

    Raises
    ------
    SourceError, MetadataError, LimitError, UnsupportedError, MissingDependencyError
        As for `open_store`.

    Examples
    --------
    >>> group = refmaker.open_group("examples/ct")
    >>> int(group["image"][2, 16, 16])
    1020
    """
    import zarr

    store = open_store(refs, storage_options, reference_options, **options)
    known: Any = {} if store.reader.version == 3 else {"zarr_format": 2}
    consolidated = store.reader.consolidated or None
    return zarr.open_group(store, mode="r", use_consolidated=consolidated, **known)


def open_array(store: Store, path: str) -> zarr.Array[Any]:
    """Open one array of an open reference set.

    Parameters
    ----------
    store : zarr.abc.store.Store
        The set: a `RefmakerStore`.
    """
    import zarr

    version: Any = store.reader.version  # type: ignore[attr-defined]
    return zarr.open_array(store, path=path, mode="r", zarr_format=version)


def open_dataset(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> xr.Dataset:
    """Open one group of a reference set, or of a data file, as an xarray dataset.

    Parameters
    ----------
    refs, storage_options, reference_options
        As for `open_store`, whose other options may stand among `kwargs`.
    **kwargs
        Passed to `xarray.open_dataset`, such as ``group="x"``, ``chunks={}`` or
        ``mask_and_scale=False``. Where no group is named and the root has no arrays, the one
        group that has some is opened.

    Returns
    -------
    xarray.Dataset
        Lazy: values are read when they are used.

    Raises
    ------
    SourceError, MetadataError, LimitError, UnsupportedError, MissingDependencyError
        As for `open_store`; `MetadataError` also if no group is named, and not the root but
        several groups have arrays.

    Examples
    --------
    >>> ds = refmaker.open_dataset("examples/air.nc")
    >>> dict(ds["air"].sizes)
    {'time': 124, 'lat': 11, 'lon': 21}
    >>> round(float(ds["air"].mean()), 2)
    269.77
    """
    import xarray as xr

    store, rest = _for_xarray(refs, storage_options, reference_options, kwargs)
    return xr.open_dataset(store, **rest)  # type: ignore[arg-type]


def open_datatree(
    refs: Refs,
    *,
    storage_options: Mapping[str, Any] | None = None,
    reference_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> xr.DataTree:
    """Open all groups of a reference set, or of a data file, as an xarray tree.

    Parameters
    ----------
    refs, storage_options, reference_options
        As for `open_store`, whose other options may stand among `kwargs`.
    **kwargs
        Passed to `xarray.open_datatree`.

    Returns
    -------
    xarray.DataTree
        Lazy: values are read when they are used.

    Raises
    ------
    SourceError, MetadataError, LimitError, UnsupportedError, MissingDependencyError
        As for `open_store`.

    Examples
    --------
    >>> tree = refmaker.open_datatree("examples/wind.grb")
    >>> tree["heightAboveGround/instant/u10"].shape
    (27, 14, 17)
    """
    import xarray as xr

    store, rest = _for_xarray(refs, storage_options, reference_options, kwargs)
    return xr.open_datatree(store, **rest)  # type: ignore[arg-type]


def _for_xarray(
    refs: Refs,
    storage_options: Mapping[str, Any] | None,
    reference_options: Mapping[str, Any] | None,
    kwargs: Mapping[str, Any],
) -> tuple[RefmakerStore, dict[str, Any]]:
    from refmaker.reading.xarray_store import StoreBackend

    ours = {name: value for name, value in kwargs.items() if name in _OPTIONS}
    rest = {name: value for name, value in kwargs.items() if name not in _OPTIONS}
    # With `chunks` the word `cache` also means something to xarray, but a folder it is not.
    if isinstance(ours.get("cache"), bool):
        rest["cache"] = ours.pop("cache")
    store = open_store(refs, storage_options, reference_options, **ours)
    return store, {"engine": StoreBackend, **rest}
