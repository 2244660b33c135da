"""kerchunk JSON: version 1 is written, versions 0 and 1 are read.

Implements the kerchunk reference specification. What is written opens with stock fsspec
(``reference://``), zarr and xarray: metadata documents as text, ``{{u}}`` templates for URLs,
``.zmetadata`` always there. A member ``refmaker`` beside ``refs`` holds what other readers
pass over: the scanner's name and the sources' fingerprints.
"""

from __future__ import annotations

import base64
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.metadata import documents, dumps
from refmaker.storage.json_reader import BASE64, Header, read
from refmaker.storage.text import format_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import ChunkTable, Group
    from refmaker.report import Fingerprint

__all__ = ["Header", "chunk_members", "header", "read", "template_names", "write"]


def write(group: Group, file: IO[bytes], header: Header | None = None) -> None:
    """Write a reference set.

    Parameters
    ----------
    group : Group
        The root group.
    file : binary file
        Open for writing.
    header : dict, optional
        Content of the member ``refmaker``.

    Raises
    ------
    MetadataError
        If a URL or attribute cannot be written so that stock readers understand it.
    """
    urls = tuple(dict.fromkeys(url for _, array in group.arrays() for url in array.chunks.urls))
    names = template_names(urls)
    file.write(b'{"version":1,"templates":')
    file.write(dumps({name: url for url, name in names.items()}).encode())
    if header:
        file.write(b',"refmaker":' + dumps(header).encode())
    file.write(b',"refs":{')
    file.write(",\n".join(_metadata_members(group)).encode())
    for path, array in group.arrays():
        for text in chunk_members(path, array.chunks, names):
            file.write(text)
    file.write(b"}}\n")


def template_names(urls: Collection[str]) -> dict[str, str]:
    """Return the name of each URL's template, after a look at whether it can have one.

    Raises
    ------
    MetadataError
        If a URL holds ``{{``.
    """
    for url in urls:
        if "{{" in url:
            raise MetadataError(
                "'{{' in a file's name means a template to readers of references",
                url=url,
                hint="rename the file",
            )
    return {url: "u" if len(urls) == 1 else f"u{i}" for i, url in enumerate(urls)}


def _metadata_members(group: Group) -> Iterator[str]:
    """Yield every metadata document as a member of ``refs``, ``.zmetadata`` first."""
    found = dict(documents(group))
    consolidated = {"metadata": found, "zarr_consolidated_format": 1}
    yield f'".zmetadata":{dumps(dumps(consolidated))}'
    for key, document in found.items():
        yield f"{dumps(key)}:{dumps(dumps(document))}"


def chunk_members(path: str, table: ChunkTable, names: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the members of one array's chunks as JSON text, each with a comma before it."""
    start = f",\n{dumps(path)[:-1]}/"
    for number, data in table.inlined.items():
        key = _key(number, table.grid)
        yield f'{start}{key}":"{BASE64}{base64.b64encode(data).decode("ascii")}"'.encode()
    if not table.referenced:
        return
    key_parts: list[Any] = []
    for axis, column in enumerate(table.coordinates() or (np.zeros(1, np.uint64),)):
        key_parts += ["." if axis else start, column.astype(np.uint64)]
    whole = (table.offset == 0) & (table.length == 0)
    url = _url_part(table, names)
    parts = [*key_parts, '":["{{', url, '}}"']
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


def _key(number: int, grid: tuple[int, ...]) -> str:
    return ".".join(str(int(at)) for at in np.unravel_index(number, grid)) if grid else "0"


def header(version: str, scanner: str, sources: Mapping[str, Fingerprint]) -> Header:
    """Return the content of the member ``refmaker``."""
    known = {url: fingerprint.as_dict() for url, fingerprint in sources.items()}
    return {"version": version, "format": scanner, "sources": known}
