"""refmaker: read archives of scientific files chunk by chunk, in place, as Zarr.

>>> import refmaker
>>> refs = refmaker.scan("data.nc")            # doctest: +SKIP
>>> refs.write("data.refs.json")               # doctest: +SKIP
>>> refmaker.open_dataset("data.refs.json")    # doctest: +SKIP

Everything named in ``__all__`` is public, and so is the module `refmaker.errors`; heavy
packages are imported when a function needs them, not before.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker import errors as errors
from refmaker.combine import Appended, CombineOptions, append, combine
from refmaker.errors import RefmakerError
from refmaker.materialize import Materialized, materialize
from refmaker.overview import describe, report
from refmaker.report import ScanReport
from refmaker.scan import ScanOptions
from refmaker.scan import scan as _scan
from refmaker.scan_many import Progress, Scanned, scan_many
from refmaker.scanner import scanners as _scanners
from refmaker.serve import serve, serving
from refmaker.source import local_path as _local_path
from refmaker.storage.reference_set import ReferenceSet
from refmaker.verify import ArrayCheck, SourceCheck, check_sources, verify

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    from refmaker.opening import open_dataset as open_dataset
    from refmaker.opening import open_datatree as open_datatree
    from refmaker.opening import open_group as open_group
    from refmaker.opening import open_store as open_store

__all__ = [
    "Appended",
    "ArrayCheck",
    "CombineOptions",
    "Materialized",
    "Progress",
    "ReferenceSet",
    "RefmakerError",
    "ScanOptions",
    "ScanReport",
    "Scanned",
    "SourceCheck",
    "__version__",
    "append",
    "check_sources",
    "combine",
    "describe",
    "errors",
    "formats",
    "materialize",
    "open_dataset",
    "open_datatree",
    "open_group",
    "open_store",
    "pattern",
    "read",
    "report",
    "scan",
    "scan_many",
    "serve",
    "serving",
    "verify",
    "write",
]

__version__ = "0.1.0"

logging.getLogger("refmaker").addHandler(logging.NullHandler())

_OPENING = frozenset(["open_dataset", "open_datatree", "open_group", "open_store"])


def __getattr__(name: str) -> Any:
    """Import the functions that open reference sets when one is first asked for."""
    if name not in _OPENING:
        raise AttributeError(f"module 'refmaker' has no attribute {name!r}")
    from refmaker import opening

    return getattr(opening, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OPENING})


# The functions `scan` and `verify` are defined after the modules of the same names were
# imported, so that no later import can put a module in a function's place.


def scan(
    url: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
    isolate: str = "auto",
    timeout: float | None = None,
    **option_fields: Any,
) -> ReferenceSet:
    """Scan one file: find where each of its chunks lies and how it is encoded.

    Files that are one object together, such as the slices of a DICOM series, are given as a
    directory or a list; of other files `scan_many` scans many, and `combine` joins them.

    Parameters
    ----------
    url : str, os.PathLike, or sequence of them
        A path, or any URL that fsspec knows; a directory, a prefix that ends in ``/``, or a list
        of files, directories and patterns.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        Name of the scanner to use, as `formats` lists them; by default the content decides.
    options : ScanOptions, optional
        How to scan.
    isolate : {"auto", "always", "never"}
        Whether to scan in a worker process, which a library that aborts or hangs takes down
        instead of this one; "auto" does so when the file looks odd or there is a time limit.
        Scripts that scan odd files need the usual ``if __name__ == "__main__":``.
    timeout : float, optional
        Seconds after which scanning is given up; needs a worker process.
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
    >>> refs = refmaker.scan("s3://bucket/data.nc", {"anon": True})    # doctest: +SKIP
    >>> [row.path for row in refs.report.skipped]                      # doctest: +SKIP
    []
    """
    if isolate not in ("auto", "always", "never"):
        raise ValueError(f"isolate is {isolate!r}, not 'auto', 'always' or 'never'")
    if timeout is not None:
        if isolate == "never":
            raise ValueError("a time limit needs a worker process, which isolate='never' forbids")
        isolate = "always"
    if option_fields:
        options = replace(options or ScanOptions(), **option_fields)
    single = _single_file(url)
    if single is None:
        from refmaker.collection import collect
        from refmaker.inputs import expand_inputs

        urls = expand_inputs(url, storage_options).urls
        return ReferenceSet(
            *collect(
                urls,
                storage_options,
                format=format,
                options=options,
                isolate=isolate,
                timeout=timeout,
            )
        )
    group, report = _scan(
        single, storage_options, format=format, options=options, isolate=isolate, timeout=timeout
    )
    return ReferenceSet(group, report)


def _single_file(url: Any) -> str | os.PathLike[str] | None:
    """Return what means one file; None for a list, a directory, a prefix."""
    from os import PathLike, fspath
    from os.path import isdir

    if not isinstance(url, str | PathLike):
        return None
    name = str(fspath(url))
    path = _local_path(name)
    return None if (name.endswith("/") if path is None else isdir(path)) else url


def pattern(  # noqa: PLR0913 - each is a choice of its own
    pattern: str,
    like: str | os.PathLike[str],
    values: Mapping[str, Any],
    storage_options: Mapping[str, Any] | None = None,
    *,
    layout: str = "auto",
    check: int = 2,
    existing: bool = False,
    shared: Collection[str] = (),
    varying: Collection[str] = (),
    format: str | None = None,  # noqa: A002 - the word users know
) -> ReferenceSet:
    """Make one reference set of many files from the pattern of their names and one of them.

    Parameters
    ----------
    pattern : str
        A path or URL with fields: ``{name:d}`` or ``{name:03d}`` for integers,
        ``{name:%Y%m%d}`` for dates, ``{name}`` for texts.
    like : str or os.PathLike
        The one file that is scanned.
    values : mapping of str to sequence
        The values of each field: integers, dates or texts. Each field becomes a dimension
        before those that variables have in the file, or takes the place of one of size 1 and
        the same name.
    storage_options : mapping, optional
        Passed to fsspec.
    layout : {"auto", "ranges", "file"}
        "ranges" takes the chunks of every file to lie where they lie in `like`; "file" makes
        each file one chunk, from which the codec ``refmaker.file`` reads a variable. By
        default the former, if nothing is compressed, packed or counted from a date.
    check : int
        Files to compare with `like`.
    existing : bool
        Look which files are there; chunks of the others are absent.
    shared : collection of str
        More variables that are taken from `like`, besides the coordinates of dimensions.
    varying : collection of str
        Coordinates of dimensions that each file has its own of.
    format : str, optional
        Name of the scanner to use.

    Returns
    -------
    ReferenceSet
        The cube.

    Raises
    ------
    MetadataError
        If pattern, values and file do not fit together, or a compared file differs.
    SourceError, UnknownFormatError, FormatError, UnsupportedError
        If `like` cannot be scanned, or no compared file is there.

    Examples
    --------
    >>> refs = refmaker.pattern(                                       # doctest: +SKIP
    ...     "s3://bucket/{run:%Y%m%d}/{member:02d}.nc", "one.nc",
    ...     {"run": ["2020-01-01", "2020-01-02"], "member": range(10)},
    ... )
    """
    from refmaker.patterns.cube import cube

    return cube(
        pattern,
        like,
        values,
        storage_options,
        layout=layout,
        check=check,
        existing=existing,
        shared=shared,
        varying=varying,
        format=format,
    )


def read(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> ReferenceSet:
    """Read a reference set that this package or kerchunk wrote, as JSON or Parquet.

    Parameters
    ----------
    url : str or os.PathLike
        Path or URL; ``-`` is standard input.
    storage_options : mapping, optional
        Passed to fsspec.

    Raises
    ------
    SourceError
        If it cannot be read.
    MetadataError
        If it is no reference set.
    MissingDependencyError
        If it is Parquet, and pyarrow is not installed.
    UnsupportedError
        If it is an Icechunk repository.
    """
    return ReferenceSet.read(url, storage_options)


def write(
    reference_set: ReferenceSet,
    out: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    relative: bool = False,
) -> None:
    """Write a reference set; the same as ``reference_set.write(out)``.

    Parameters
    ----------
    reference_set : ReferenceSet
        What `scan` or `read` returned.
    out : str or os.PathLike
        Path or URL, which appears whole or not at all; ``-`` is standard output.
    storage_options : mapping, optional
        Passed to fsspec.
    format : {"json", "compact", "parquet", "icechunk"}, optional
        By default the name's ending decides: ``.parquet``, ``.icechunk``, or JSON.
    relative : bool
        Name the files by their paths from where the set lies.

    Raises
    ------
    SourceError
        If the place cannot be written.
    MetadataError
        If something in the set cannot be expressed.
    MissingDependencyError
        If the format needs a package that is not installed.
    """
    reference_set.write(out, storage_options, format=format, relative=relative)


def formats() -> list[str]:
    """Return the names of the formats that can be scanned, those of other packages included."""
    return sorted(_scanners())
