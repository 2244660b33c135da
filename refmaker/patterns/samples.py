"""Files of a cube: which are there, and whether some of them are what is assumed."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, SourceError, SourceNotFoundError
from refmaker.io.source import Source, local_path
from refmaker.model import Array
from refmaker.model.zarr_v2 import array_document, attributes_document
from refmaker.patterns.whole_file import config_of, difference
from refmaker.scanning.one_file import scan
from refmaker.scanning.protocol import choose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Group
    from refmaker.scanning.options import ScanOptions

__all__ = ["FileAssumptions", "check", "existing"]

_TRIES = 8
"""Names tried for each file to sample, as some may not exist."""
_THREADS = 16
_SHARED_LIMIT = 2**28
"""Bytes of a shared variable up to which its values are compared."""


@dataclass(frozen=True)
class FileAssumptions:
    """What is assumed of every file.

    Parameters
    ----------
    scanned_file : str
        The file that was scanned.
    scanner : str
        Its format.
    options : ScanOptions
        How it was scanned.
    ranges : bool
        Whether all chunks lie at the same places.
    varying, shared : mapping of str to Array
        Variables that each file has its own of, and those that are taken from the scanned file.
    """

    scanned_file: str
    scanner: str
    options: ScanOptions
    ranges: bool
    varying: Mapping[str, Array]
    shared: Mapping[str, Array]


def existing(
    urls: Sequence[str], storage_options: Mapping[str, Any] | None = None
) -> NDArray[np.bool_]:
    """Tell which files are there, by listing their folders; over HTTP one by one.

    Raises
    ------
    SourceError
        If a folder cannot be listed.
    """
    from fsspec.core import url_to_fs

    if not urls:
        return np.zeros(0, bool)
    if local_path(urls[0]) is not None:
        return np.array([os.path.isfile(local_path(url) or "") for url in urls])
    try:
        fs, _ = url_to_fs(urls[0], **(storage_options or {}))
        names = [fs._strip_protocol(url) for url in urls]  # noqa: SLF001 - there is no public one
        if urls[0].startswith(("http:", "https:")):
            with ThreadPoolExecutor(_THREADS) as pool:
                return np.array(list(pool.map(fs.exists, names)))
        there: set[str] = set()
        for folder in dict.fromkeys(name.rpartition("/")[0] for name in names):
            there.update(_listed(fs, folder))
        return np.array([name in there for name in names])
    except (OSError, ImportError, ValueError) as error:
        raise SourceError(f"cannot be listed: {error}", url=urls[0]) from error


def _listed(fs: Any, folder: str) -> Iterator[str]:
    try:
        yield from fs.ls(folder, detail=False)
    except FileNotFoundError:
        return


def check(
    plan: FileAssumptions,
    urls: Sequence[str],
    number: int,
    storage_options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Compare some files with the one that was scanned.

    Parameters
    ----------
    plan : FileAssumptions
        What is assumed.
    urls : sequence of str
        The files of the cube; the first and the last are tried first, then others at random.
    number : int
        How many to compare.
    storage_options : mapping, optional
        Passed to fsspec.

    Returns
    -------
    list of str
        The files that were compared.

    Raises
    ------
    MetadataError
        If one differs; names the file, the variable and the difference.
    SourceNotFoundError
        If none of those tried exists.
    """
    order = [0, len(urls) - 1]
    order += random.Random(0).sample(range(len(urls)), min(len(urls), number * _TRIES))  # noqa: S311
    order = list(dict.fromkeys(order))[: max(2, number * _TRIES)]
    done: list[str] = []
    for at in order:
        if len(done) == number:
            break
        try:
            _compare(plan, urls[at], storage_options)
        except SourceNotFoundError:
            continue
        done.append(urls[at])
    if number and not done:
        raise SourceNotFoundError(
            f"none of {len(order)} files that the pattern names is there",
            url=urls[0],
            hint="look at the pattern and its values, or compare none: `check_files=0`",
        )
    return done


def _compare(plan: FileAssumptions, url: str, storage_options: Mapping[str, Any] | None) -> None:
    group, report = scan(url, storage_options, format=plan.scanner, options=plan.options)
    for path, array in plan.varying.items():
        other = _array(group, path, url)
        wrong = _layout(array, other, report.url) if plan.ranges else None
        wrong = wrong or difference(other, config_of(path, array, plan.scanner))
        if wrong is not None:
            raise MetadataError(
                f"not like the file that was scanned: {wrong}",
                url=url,
                path=path,
                hint="`chunk_source='file'` reads what lies elsewhere" if plan.ranges else None,
            )
    for path, array in plan.shared.items():
        other = _array(group, path, url)
        if array.nbytes <= _SHARED_LIMIT and not _same_values(plan, path, array, other, url,
                                                              storage_options):  # fmt: skip
            raise MetadataError(
                "its values are not those of the file that was scanned",
                url=url,
                path=path,
                hint=f"take it from each file: `concat_variables=[{path!r}]`",
            )


def _array(group: Group, path: str, url: str) -> Array:
    try:
        found = group[path]
    except KeyError:
        found = group
    if not isinstance(found, Array):
        raise MetadataError("the file has no such variable", url=url, path=path)
    return found


def _layout(array: Array, other: Array, url: str) -> str | None:
    if array_document(array) != array_document(other):
        return "its type, shape or chunks differ"
    if attributes_document(array) != attributes_document(other):
        return "its attributes differ"
    if other.chunks.referenced and other.chunks.urls != (url,):
        return "its chunks lie in other files"
    renamed = other.chunks.with_urls(array.chunks.urls)
    return None if array.chunks.same(renamed) else "its chunks lie elsewhere in the file"


def _same_values(
    plan: FileAssumptions,
    path: str,
    array: Array,
    other: Array,
    url: str,
    storage_options: Mapping[str, Any] | None,
) -> bool:
    if difference(other, config_of(path, array, plan.scanner)) is not None:
        return False
    values = []
    for name, known in ((plan.scanned_file, array), (url, other)):
        with Source(name, storage_options) as source:
            scanner = choose(source.read_upto(0, 4096), name, plan.scanner)
            with scanner.native(source) as native:
                region = tuple(slice(0, extent) for extent in known.shape)
                values.append(np.ascontiguousarray(native.read(path, known, region)))
    if values[0].dtype.hasobject:
        return bool(np.array_equal(values[0], values[1]))
    return values[0].tobytes() == values[1].tobytes()
