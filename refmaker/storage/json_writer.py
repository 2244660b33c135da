"""kerchunk JSON, version 1, is written.

Implements the kerchunk reference specification. What is written opens with stock fsspec
(``reference://``), zarr and xarray: metadata documents as text, ``{{u}}`` templates for URLs,
``.zmetadata`` always there. Readers that know no templates are given the same without. A member
``refmaker`` behind ``refs`` holds what other readers pass over, the scanner's name and the
sources' fingerprints: GDAL recognises a set by what stands before.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.model.zarr_v3 import consolidated_v3, documents_v3, zarr_format_of
from refmaker.storage.text import BASE64, format_rows
from refmaker.storage.zarr3_keys import with_hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import ChunkTable, Group
    from refmaker.model.origin import Origin
    from refmaker.model.report import ScanReport

__all__ = ["Header", "chunk_members", "header", "plain_texts", "templated", "write"]

Header = dict[str, Any]
"""The member ``refmaker``: ``version``, ``format``, ``sources``, ``parts``, ``origins``."""


def write(
    group: Group,
    file: IO[bytes],
    header: Header | None = None,
    zarr_format: int | None = None,
    *,
    plain: bool = False,
) -> None:
    """Write a reference set.

    Parameters
    ----------
    group : Group
        The root group.
    file : binary file
        Open for writing.
    header : dict, optional
        Content of the member ``refmaker``.
    zarr_format : {2, 3}, optional
        Version of Zarr of the metadata; by default 2 where that can say what is there.
    plain : bool
        Write every URL in full, without templates.

    Raises
    ------
    MetadataError
        If a URL or attribute cannot be written so that stock readers understand it.
    UnsupportedError
        If the version of Zarr cannot say what is there.
    """
    version = zarr_format_of(group) if zarr_format is None else zarr_format
    metadata = ",\n".join(_metadata_members(group, version)).encode()
    tables = [array.chunks for _, array in group.arrays()]
    templates, names = ({}, plain_texts(tables)) if plain else templated(tables)
    file.write(b'{"version":1')
    if templates:
        file.write(b',"templates":' + dumps(templates).encode())
    file.write(b',"refs":{')
    file.write(metadata)
    for path, array in group.arrays():
        for text in chunk_members(path, array.chunks, names, version):
            file.write(text)
    file.write(b"}")
    header = with_hidden(header, group) if version == 3 else header
    if header:
        file.write(b',"refmaker":' + dumps(header).encode())
    file.write(b"}\n")


def plain_texts(tables: Iterable[ChunkTable]) -> dict[str, str]:
    """Return how each URL is written where there are no templates, as the inside of a string.

    Raises
    ------
    MetadataError
        If a URL holds ``{{``.
    """
    urls = dict.fromkeys(url for table in tables for url in table.urls)
    _check_names(urls)
    return {url: dumps(url)[1:-1] for url in urls}


def templated(tables: Iterable[ChunkTable]) -> tuple[dict[str, str], dict[str, str]]:
    """Return templates for the URLs of tables.

    The files of one folder share a template where that is shorter: where each of them holds few
    chunks, such as the slices of an image series.

    Parameters
    ----------
    tables : iterable of ChunkTable
        All that are to be written.

    Returns
    -------
    texts : dict of str to str
        How each URL is written, as the inside of a JSON string.

    Raises
    ------
    MetadataError
        If a URL holds ``{{``.
    """
    chunks: Counter[str] = Counter()
    for table in tables:
        if table.url is None:
            chunks.update(dict.fromkeys(table.urls, table.referenced))
        else:
            counts = np.bincount(table.url, minlength=len(table.urls)).tolist()
            chunks.update(dict(zip(table.urls, counts, strict=True)))
    _check_names(chunks)
    folders: dict[str, list[str]] = {}
    for url in chunks:
        folders.setdefault(url[: url.rfind("/") + 1], []).append(url)
    shared = {folder for folder, urls in folders.items() if _shareable(folder, urls, chunks)}
    starts = dict.fromkeys(_start(url, shared) for url in chunks)
    names = {start: "u" if len(starts) == 1 else f"u{i}" for i, start in enumerate(starts)}
    texts = {}
    for url in chunks:
        start = _start(url, shared)
        texts[url] = f"{{{{{names[start]}}}}}{url[len(start) :]}"
    return {name: start for start, name in names.items()}, texts


def _start(url: str, shared: Collection[str]) -> str:
    """Return what of a URL is a template."""
    folder = url[: url.rfind("/") + 1]
    return folder if folder in shared else url


def _shareable(folder: str, urls: Sequence[str], chunks: Mapping[str, int]) -> bool:
    """Tell whether references are shorter with a template for a folder than with one a file."""
    if not folder or len(urls) == 1:
        return False
    if not all(_PLAIN.fullmatch(url, len(folder)) for url in urls):
        return False
    repeated = sum(chunks[url] * (len(url) - len(folder)) for url in urls)
    return repeated < sum(map(len, urls))


_PLAIN = re.compile(r"[\w .,;:=+@~()\[\]-]*", re.ASCII)
"""Names of files that neither JSON nor a template language reads otherwise than they stand."""


def _check_names(urls: Iterable[str]) -> None:
    """Refuse names that would be read as templates."""
    for url in urls:
        if "{{" in url:
            raise MetadataError(
                "'{{' in a file's name means a template to readers of references",
                url=url,
                hint="rename the file",
            )


def _metadata_members(group: Group, zarr_format: int) -> Iterator[str]:
    """Yield every metadata document as a member of ``refs``, the one that holds all of them first.

    In version 3 that is the root group's.
    """
    if zarr_format == 3:
        found = dict(documents_v3(group))
        found["zarr.json"] = consolidated_v3(found)
        for key, document in found.items():
            yield f"{dumps(key)}:{dumps(dumps(document))}"
        return
    texts = [(dumps(key), dumps(document)) for key, document in documents(group)]
    # Each document is spelled once: attributes of thousands of variables take their time.
    every = ",".join([f"{key}:{text}" for key, text in texts])
    consolidated = f'{{"metadata":{{{every}}},"zarr_consolidated_format":1}}'
    yield f'".zmetadata":{dumps(consolidated)}'
    yield from (f"{key}:{dumps(text)}" for key, text in texts)


def chunk_members(
    path: str, table: ChunkTable, names: Mapping[str, str], zarr_format: int = 2
) -> Iterator[bytes]:
    """Yield the members of one array's chunks as JSON text, each with a comma before it.

    Parameters
    ----------
    names : mapping of str to str
        How each URL is written; see `templated`.
    zarr_format : {2, 3}
        Version of Zarr, which decides how chunks are called.
    """
    start, separator = f",\n{dumps(path)[:-1]}/", "."
    if zarr_format == 3:
        start, separator = f"{start}c/" if table.grid else f"{start}c", "/"
    for number, data in table.inlined.items():
        key = _key(number, table.grid, separator, zarr_format)
        yield f'{start}{key}":"{BASE64}{base64.b64encode(data).decode("ascii")}"'.encode()
    if not table.referenced:
        return
    if zarr_format == 3 and not table.grid:
        (url,) = (names[url] for url in table.urls[:1])
        place = table.get(0)
        ranged = f",{place.offset},{place.length}" if any(place[1:]) else ""  # type: ignore[union-attr, index]
        yield f'{start}":["{url}"{ranged}]'.encode()
        return
    key_parts: list[Any] = []
    for axis, column in enumerate(table.coordinates() or (np.zeros(1, np.uint64),)):
        key_parts += [separator if axis else start, column.astype(np.uint64)]
    whole = (table.offset == 0) & (table.length == 0)
    url = _url_part(table, names)
    parts = [*key_parts, '":["', url, '"']
    if bool(whole.any()):
        yield from format_rows([*_rows(parts, whole), "]"])
        parts = _rows(parts, ~whole)
    rest = ~whole if bool(whole.any()) else slice(None)
    if table.offset[rest].size:
        offset, length = table.offset[rest], table.length[rest].astype(np.uint64)
        yield from format_rows([*parts, ",", offset, ",", length, "]"])


def _url_part(table: ChunkTable, names: Mapping[str, str]) -> Any:
    used = [names[url] for url in table.urls]
    return used[0] if table.url is None else (table.url, used)


def _rows(parts: Sequence[Any], rows: NDArray[np.bool_]) -> list[Any]:
    """Return the parts of some rows only."""
    chosen: list[Any] = []
    for part in parts:
        if isinstance(part, tuple):
            chosen.append((part[0][rows], part[1]))
        else:
            chosen.append(part if isinstance(part, str) else part[rows])
    return chosen


def _key(number: int, grid: tuple[int, ...], separator: str, zarr_format: int) -> str:
    if not grid:
        return "" if zarr_format == 3 else "0"
    return separator.join(str(int(at)) for at in np.unravel_index(number, grid))


def header(version: str, report: ScanReport, origins: Mapping[str, Origin] | None = None) -> Header:
    """Return the content of the member ``refmaker``.

    Parameters
    ----------
    report : ScanReport
        Tells format, files and their parts.
    origins : mapping of str to Origin, optional
        Where edited arrays stand in the files, by path.
    """
    known = {url: fingerprint.as_dict() for url, fingerprint in report.sources.items()}
    parts = {"parts": report.parts} if report.parts else {}
    edited = {path: origin.as_dict() for path, origin in (origins or {}).items()}
    found = {"version": version, "format": report.format, "sources": known, **parts}
    return found | ({"origins": edited} if edited else {})
