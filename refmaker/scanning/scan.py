"""Scanning what one reference set is made of: a file, or files that are one object together.

This module loads nothing heavy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.io.known_heads import with_heads
from refmaker.io.local_file import local_path
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.scanning.options import ScanOptions

__all__ = ["scan"]

_QUICK = 0.05
"""Seconds under which scanning a local file again costs no more than finding it in the cache."""


def scan(
    url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
    isolate: str = "auto",
    timeout: float | None = None,
    cache: bool | str | os.PathLike[str] = False,
    **option_fields: Any,
) -> ReferenceSet:
    """Scan one file: find where each of its chunks lies and how it is encoded.

    Files that are one object together, such as the slices of a DICOM series, are given as a
    directory or a list; of other files `scan_many` scans many, and `combine` joins them.

    Parameters
    ----------
    url : str, os.PathLike, or sequence of them
        A path, or any URL that fsspec knows; what means several files: a directory, a prefix
        that ends in ``/``, a pattern, an archive; or a list of such.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        Name of the scanner to use, as `formats` lists them; by default the content decides.
    options : ScanOptions, optional
        How to scan.
    isolate : {"auto", "always", "never"}
        Whether to scan in a worker process, which a library that aborts or hangs takes down
        instead of this one; "auto" does so when the file looks odd or there is a time limit.
    timeout : float, optional
        Seconds after which scanning is given up; needs a worker process.
    cache : bool, str or os.PathLike
        Whether to take what an earlier scan of one file has found if the file has not changed
        since, and to keep what took long; a folder to keep it in, instead of the user's own
        cache. Sets of several files are always scanned.
    **option_fields
        Fields of `ScanOptions`, which take precedence over `options`.

    Returns
    -------
    ReferenceSet
        The groups and arrays, and in ``report`` a row for every object of the file.

    Raises
    ------
    SourceError
        If the file cannot be read.
    UnknownFormatError
        If no scanner recognises it.
    FormatError
        If it is damaged.
    UnsupportedError
        If nothing in it can be referenced, or several files are no object together.
    WorkerError
        If the worker process died or took longer than `timeout`.
    ValueError
        If `isolate` is no such word, or "never" together with `timeout`.

    Examples
    --------
    >>> refs = refmaker.scan("examples/air.nc")
    >>> refs["air"].shape, refs["air"].dimension_names
    ((124, 11, 21), ('time', 'lat', 'lon'))
    >>> refs.report
    <ScanReport of '.../examples/air.nc' (hdf5): 1 group, 1 referenced, 3 inlined>
    >>> refs.write("air.json")

    Several files that are one object, here a CT series:

    >>> refmaker.scan("examples/ct")["image"].shape
    (5, 32, 32)
    """
    if isolate not in ("auto", "always", "never"):
        raise ValueError(f"isolate is {isolate!r}, not 'auto', 'always' or 'never'")
    if timeout is not None:
        if isolate == "never":
            raise ValueError("a time limit needs a worker process, which `isolate='never'` forbids")
        isolate = "always"
    from refmaker.scanning.one_file import scan as scan_one
    from refmaker.scanning.options import ScanOptions

    if option_fields:
        from dataclasses import replace

        options = replace(options or ScanOptions(), **option_fields)
    how: dict[str, Any] = {
        "format": format,
        "options": options or ScanOptions(),
        "isolate": isolate,
        "timeout": timeout,
    }
    single = _single_file(url, storage_options)
    if single is None:
        from refmaker.io.inputs import expand_inputs
        from refmaker.scanning.multi_file import scan_together

        found = expand_inputs(url, storage_options)
        alone = len(found.urls) == 1 and found.urls[0] not in found.searched
        if not (alone or _only_member(found.urls)):
            known = with_heads(storage_options, found.heads)
            return ReferenceSet(*scan_together(found.urls, known, **how))
        single = found.urls[0]
    if cache is not False:
        return _scan_or_find(single, storage_options, cache, how)
    return ReferenceSet(*scan_one(single, storage_options, **how))


def _single_file(url: Any, storage_options: Mapping[str, Any] | None) -> str | None:
    """Return what means one file or store; None for a list, a directory, a prefix."""
    from refmaker.io.inputs import means_many
    from refmaker.io.stores import resolve_store

    if not isinstance(url, str | os.PathLike):
        return None
    name = str(os.fspath(url))
    store = resolve_store(name, storage_options)
    if store != name:
        return store
    return None if means_many(url) else name


def _only_member(urls: Sequence[str]) -> bool:
    """Whether that is all of an archive, which then stands for it."""
    from refmaker.io.archive_members import member_name

    return len(urls) == 1 and member_name(urls[0]) is not None


def _scan_or_find(
    url: str,
    storage_options: Mapping[str, Any] | None,
    chosen: bool | str | os.PathLike[str],
    how: dict[str, Any],
) -> ReferenceSet:
    """Return what the cache knows of a file, or else scan it and keep what was found."""
    from refmaker.scanning.cache import fixed_state, look, open_cache
    from refmaker.scanning.one_file import scan as scan_one
    from refmaker.scanning.serialized import deserialize, serialize

    cache = open_cache(chosen)
    key = cache.key(url, storage_options, how["format"], how["options"])
    known = cache.find(key, url, storage_options)
    if known is not None:
        return ReferenceSet(*deserialize(known))
    local = local_path(url) is not None
    before = look(url) if local else None
    group, report = scan_one(url, storage_options, **how)
    if not local or report.seconds > _QUICK:
        state = fixed_state(before, report)
        if state is not None:
            cache.put(key, state, serialize(group, report))
    return ReferenceSet(group, report)
