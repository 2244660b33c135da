"""Data files where a reference set is expected: they are scanned on the fly."""

from __future__ import annotations

import logging
import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from refmaker.errors import SourceNotFoundError, UnknownFormatError, UnsupportedError, printable
from refmaker.io.files import STANDARD
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model.report import ScanReport
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["scan_data", "tell_losses"]

log = logging.getLogger(__name__)

_SETS = (".json", ".json.gz", ".json.zst", ".parquet", ".parq", ".icechunk")
"""Endings that no data file has: what is far away and called so need not be looked at."""
_MAGIC = frozenset("*?[")
_SHOWN = 5
_FORMAT = re.compile(r"`format=('\w+')`")
"""How hints of scanning name a format, which is given by `scan` here."""

Named = str | os.PathLike[str]


def scan_data(
    name: Named | Sequence[Named],
    storage_options: Mapping[str, Any] | None,
    reference_options: Mapping[str, Any] | None,
    how: Mapping[str, Any] | None = None,
) -> ReferenceSet | None:
    """Scan what is no reference set but data: a file, a folder, a pattern, a list of files.

    Parameters
    ----------
    name : str, os.PathLike or sequence of them
        What was given in place of a reference set.
    storage_options : mapping, optional
        Passed to fsspec for files with data, of which the scanned one is the first.
    reference_options : mapping, optional
        Passed to fsspec for a reference set, should it be one.
    how : mapping, optional
        Keywords of `refmaker.scan`; ``cache`` is on unless they say otherwise.

    Returns
    -------
    ReferenceSet
        None if `name` is a reference set, in whatever form.

    Warns
    -----
    UserWarning
        If an object of the file is not in the set, with the reason.

    Raises
    ------
    RefmakerError
        If it cannot be scanned.
    TypeError
        If `name` is nothing of that, such as an open file; or `how` holds what is no keyword of
        `refmaker.scan`.
    """
    name = _named(name)
    if isinstance(name, str | os.PathLike) and not _is_data(name, reference_options):
        return None
    from refmaker.io.policy import Policy
    from refmaker.scanning.scan import scan

    given = {"cache": True, **(how or {})}
    first = name if isinstance(name, str | os.PathLike) else next(iter(name), "")
    # Options may be given for each protocol or prefix, as for files that a document names.
    options = Policy(None).options(os.fspath(first), dict(storage_options or {}))
    try:
        refs = scan(_inputs(name), options, **given)
    except UnknownFormatError as error:
        error.hint = _FORMAT.sub(r"`scan={'format': \1}`", error.hint or "")
        raise
    except UnsupportedError as error:
        if error.code == "no-collection":
            files = _files(name)
            error.hint = f"join them: `xarray.open_mfdataset({files}, engine='refmaker')`"
        elif error.code == "mixed-formats":
            error.hint = "choose one: `scan={'format': ...}`"
        raise
    for message in refs.report.warnings:
        log.warning("%s: %s", printable(refs.report.url), printable(message))
    tell_losses(refs.report)
    return refs


def _named(name: Any) -> Named | Sequence[Named]:
    """Return what was given, if it is a name or a list of names; of a list of one that one."""
    if isinstance(name, str | os.PathLike):
        return name
    names: list[Any] = list(name) if isinstance(name, list | tuple) else [None]
    if not all(isinstance(item, str | os.PathLike) for item in names):
        kind = type(name).__name__
        raise TypeError(
            f"a reference set, a path or URL, or a list of them is needed, not {kind}: what is read"
            " in place has to have a name"
        )
    single: Named = names[0] if len(names) == 1 else ""
    return single or names


def _inputs(name: Named | Sequence[Named]) -> Named | Sequence[Named]:
    """Return what `scan` is given: a pattern in a list, where it is one."""
    return [name] if isinstance(name, str) and _is_pattern(name) else name


def _files(name: Named | Sequence[Named]) -> str:
    """Return as Python spells it how several files are given to xarray."""
    if not isinstance(name, str | os.PathLike):
        return "files"
    return repr(str(name) if _is_pattern(name) else os.path.join(os.fspath(name), "*"))


def _is_pattern(name: Any) -> bool:
    """Whether a name that is no file fits files."""
    if not isinstance(name, str) or not _MAGIC & set(name):
        return False
    path = local_path(name)
    # In a URL a question mark begins the query.
    return bool({"*", "["} & set(name)) if path is None else not os.path.lexists(path)


def _is_data(name: Named, reference_options: Mapping[str, Any] | None) -> bool:
    text = os.fspath(name)
    if text == STANDARD:
        return False
    if _is_pattern(name):
        return True
    if local_path(text) is None:
        if text.rstrip("/").lower().endswith(_SETS):
            return False
        if text.endswith("/"):
            return not _holds_metadata(text, reference_options)
    from refmaker.storage.detect import detect

    return detect(text, reference_options).kind in ("file", "folder")


def _holds_metadata(folder: str, reference_options: Mapping[str, Any] | None) -> bool:
    """Whether a folder far away is a reference set as Parquet."""
    from refmaker.io.folders import open_folder
    from refmaker.storage.parquet import METADATA

    try:
        return bool(open_folder(folder, reference_options).read(METADATA))
    except SourceNotFoundError:
        return False


def tell_losses(report: ScanReport) -> None:
    """Say what of a file is left out, where nobody else sees the report.

    Parameters
    ----------
    report : ScanReport
        Its skipped rows are named by one warning.
    """
    lost = report.skipped
    if lost:
        rows = "; ".join(f"{row.path}: {row.reason}" for row in lost[:_SHOWN])
        more = f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        warnings.warn(
            printable(f"{report.url}: left out are {rows}{more}"), UserWarning, stacklevel=3
        )
