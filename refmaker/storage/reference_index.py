"""References held as columns; one key is looked up without expanding anything."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from refmaker.errors import LimitError, MetadataError, printable
from refmaker.model.chunk_table import count
from refmaker.model.report import Fingerprint
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.model.zarr_v3 import consolidated_v3, documents_v3, zarr_format_of
from refmaker.storage.json_windows import RANKS
from refmaker.storage.zarr3_keys import with_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.model import Group
    from refmaker.model.chunk_table import ChunkTable, Reference
    from refmaker.storage.gen_windows import GenWindows
    from refmaker.templates import Rules

__all__ = [
    "NUMERAL",
    "OTHER_FORM",
    "ChunkGrid",
    "Located",
    "Lookup",
    "ReferenceIndex",
    "beyond",
    "chunk_key",
    "chunk_place",
    "outside",
    "paths_by_front",
    "position",
    "sources_of",
]

log = logging.getLogger(__name__)

OTHER_FORM = (
    "readers of Zarr do not find such keys, and would give fill values: take them out of the"
    " document, or make it anew"
)
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_NAME = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,{RANKS - 1}}}")
NUMERAL = re.compile(_NUMBER)
_POSITION = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17}))*")
_LISTED = 1 << 20
"""Keys of rules that are made for a listing at most."""


class Located(NamedTuple):
    """Where the bytes of a key lie.

    Parameters
    ----------
    url : str
        The file.
    offset : int
        First byte.
    length : int, optional
        Bytes; None means the whole file.
    table : ChunkTable, optional
        The table that says so, if there is one.
    row : int
        Its row.
    """

    url: str
    offset: int
    length: int | None
    table: ChunkTable | None = None
    row: int = 0


class Lookup(Protocol):
    """What a reader asks of references, in whichever way they are stored."""

    header: Mapping[str, Any]

    def ready(self, key: str) -> bool:
        """Whether a key can be looked up without reading a file."""

    def get(self, key: str) -> bytes | Located | None:
        """Return inlined bytes, a place, or None where there is no such key."""

    def urls(self) -> Iterator[str]:
        """Yield the files that are known without expanding anything."""

    def children(self, path: str) -> tuple[list[str], Iterator[str]] | None:
        """Return the names of folders and files in a folder, or None if there is none."""

    def keys(self) -> Iterator[str]:
        """Yield every key."""

    def metadata(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and text of every metadata document that is at hand."""


METADATA = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"})


def position(name: str) -> tuple[int, ...] | None:
    """Return the position in a chunk grid that ``3.0.12`` names, or None."""
    if _POSITION.fullmatch(name) is None:
        return None
    return tuple(map(int, name.split(".")))


class ChunkGrid(NamedTuple):
    """The chunk grid that a document gives an array.

    Attributes
    ----------
    shape : tuple of int
        Chunks along each dimension.
    slashes : bool
        Whether slashes join the numbers in the keys of chunks.
    """

    shape: tuple[int, ...]
    slashes: bool


def chunk_key(key: str) -> tuple[str, tuple[int, ...], bool] | None:
    """Split the key of a chunk.

    Returns
    -------
    path : str
        What stands before the slash before the numbers.
    at : tuple of int
        The numbers: as many as there are, where slashes join them.
    slashes : bool
        Whether slashes join them.
    """
    path, _, name = key.rpartition("/")
    if _NAME.fullmatch(name) is None:
        return None
    at = [int(part) for part in name.split(".")]
    if len(at) > 1:
        return path, tuple(at), False
    while path and len(at) < RANKS:
        front, _, name = path.rpartition("/")
        if NUMERAL.fullmatch(name) is None:
            break
        at.insert(0, int(name))
        path = front
    return path, tuple(at), len(at) > 1


def chunk_place(key: str, grids: Mapping[str, ChunkGrid]) -> tuple[str, tuple[int, ...]] | None:
    """Return the array that a key belongs to, and the chunk; None if it is no array's chunk.

    The chunk may lie outside of the array's grid; see `outside`.

    Raises
    ------
    MetadataError
        If there is an array, and the key is of another form than its chunks'.
    """
    found = chunk_key(key)
    if found is None:
        return None
    path, at, slashes = found
    for lead in range(len(at) if slashes else 1):
        grid = grids.get(path)
        if grid is not None:
            rest, shape = at[lead:], grid.shape or (1,)
            other = len(rest) != len(shape) or (len(rest) > 1 and slashes != grid.slashes)
            if other or (not grid.shape and any(rest)):
                why = f"no chunk of a grid of {grid.shape}"
                raise MetadataError(why, path=key, hint=OTHER_FORM)
            return path, rest
        path = f"{path}/{at[lead]}" if path else str(at[lead])
    return None


def outside(at: Sequence[int], grid: ChunkGrid) -> bool:
    """Tell whether a chunk lies outside of a grid."""
    return any(a >= b for a, b in zip(at, grid.shape or (1,), strict=True))


def beyond(path: str, name: str, number: int, grid: ChunkGrid) -> None:
    """Warn of chunks that are left out, since no reader would ever ask for them."""
    where, such = printable(path[:200]) or "/", printable(name[:200])
    log.warning(
        "%s: left out what lies outside of its grid of %s chunks: %d, such as '%s'",
        where, grid.shape, number, such,
    )  # fmt: skip


def paths_by_front(grids: Mapping[str, ChunkGrid]) -> dict[str, dict[int, list[tuple[int, ...]]]]:
    """Sort the paths of arrays by what stands before the numbers at their ends."""
    found: dict[str, dict[int, list[tuple[int, ...]]]] = {}
    for path in grids:
        front = (path, (), False) if not path else (chunk_key(path) or (path, (), False))
        if "." in path.rpartition("/")[2]:
            front = path, (), False
        found.setdefault(front[0], {}).setdefault(len(front[1]), []).append(front[1])
    return found


def sources_of(header: Mapping[str, Any], url: str = "") -> dict[str, Fingerprint]:
    """Return the fingerprints that a document's member ``refmaker`` holds.

    Raises
    ------
    MetadataError
        If they are none.
    """
    known = header.get("sources", {})
    if not isinstance(known, dict):
        raise MetadataError("'sources' is no JSON object", url=url, path="refmaker")
    return {name: Fingerprint.from_dict(entry) for name, entry in known.items()}


@dataclass(eq=False)
class ReferenceIndex:
    """A reference set as a flat mapping of keys, in columns.

    Parameters
    ----------
    documents : dict of str to bytes
        Everything that is kept in the set itself, by key.
    tables : dict of str to ChunkTable
        Byte ranges with keys such as ``path/0.1``, by path; the root is ``""``.
    others : dict of str to Reference
        Byte ranges with any other keys.
    slashed : set of str
        Paths of tables whose keys are such as ``path/0/1``.
    rules : Rules, optional
        References that are described by patterns; they replace all others of the same key.
    header : mapping
        The document's member ``refmaker``.
    compact : bool
        Whether they come from a compact document, which other readers refuse.
    templates : bool
        Whether they come from a document with templates, which some readers refuse.
    """

    documents: dict[str, bytes] = field(default_factory=dict)
    tables: dict[str, ChunkTable] = field(default_factory=dict)
    others: dict[str, Reference] = field(default_factory=dict)
    rules: Rules | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    slashed: set[str] = field(default_factory=set)
    compact: bool = False
    templates: bool = False

    @classmethod
    def of_group(
        cls,
        group: Group,
        header: Mapping[str, Any] | None = None,
        zarr_format: int | None = None,
    ) -> ReferenceIndex:
        """Return the references of a set in memory; its columns are not copied.

        Parameters
        ----------
        header : mapping, optional
            Content of the member ``refmaker``.
        zarr_format : {2, 3}, optional
            Version of Zarr of the metadata; by default 2 where that can say what is there.

        Raises
        ------
        UnsupportedError
            If the version cannot say what is there.
        """
        version = zarr_format_of(group) if zarr_format is None else zarr_format
        if version == 3:
            return cls._of_group_v3(group, header)
        found = dict(documents(group))
        consolidated = {"metadata": found, "zarr_consolidated_format": 1}
        made = cls(header=header or {})
        made.documents[".zmetadata"] = dumps(consolidated).encode()
        made.documents.update((key, dumps(document).encode()) for key, document in found.items())
        for path, array in group.arrays():
            table = array.chunks
            if table.referenced:
                made.tables[path] = table
            for number, data in table.inlined.items():
                made.documents[joined_path(path, _name(number, table.grid))] = data
        return made

    @classmethod
    def _of_group_v3(cls, group: Group, header: Mapping[str, Any] | None) -> ReferenceIndex:
        found = dict(documents_v3(group))
        found["zarr.json"] = consolidated_v3(found)
        made = cls(header=with_hidden(header, group))
        made.documents.update((key, dumps(document).encode()) for key, document in found.items())
        for path, array in group.arrays():
            table, folder = array.chunks, joined_path(path, "c")
            for number, data in table.inlined.items():
                name = _name(number, table.grid).replace(".", "/")
                made.documents[joined_path(folder, name) if table.grid else folder] = data
            if not table.referenced:
                continue
            if not table.grid:
                reference = table.get(0)
                made.others[folder] = reference  # type: ignore[assignment]
                continue
            made.tables[folder] = table
            if len(table.grid) > 1:
                made.slashed.add(folder)
        return made

    @property
    def nbytes(self) -> int:
        """Bytes that the references take in memory, without keys of documents and URLs."""
        return sum(table.nbytes for table in self.tables.values()) + sum(
            map(len, self.documents.values())
        )

    def __len__(self) -> int:
        rows = sum(table.referenced for table in self.tables.values())
        made = self.rules.size if self.rules else 0
        return len(self.documents) + rows + len(self.others) + made

    def ready(self, key: str) -> bool:  # noqa: ARG002 - as others have it
        """Tell that every key can be looked up at once."""
        return True

    def get(self, key: str) -> bytes | Located | None:
        """Return inlined bytes, a place, or None where there is no such key.

        Raises
        ------
        MetadataError
            If a rule cannot say where the bytes lie.
        """
        if self.rules is not None:
            found = self._made(key)
            if found is not None:
                return found
        document = self.documents.get(key)
        if document is not None:
            return document
        place = self._row(key)
        if place is not None:
            table, row = place
            file = 0 if table.url is None else int(table.url[row])
            return _located(
                table.urls[file], int(table.offset[row]), int(table.length[row]), table, row
            )
        other = self.others.get(key)
        return None if other is None else _located(*other, None, 0)

    def has_reference(self, key: str) -> bool:
        """Tell whether a key has a byte range, rules aside."""
        return key in self.others or self._row(key) is not None

    def _row(self, key: str) -> tuple[ChunkTable, int] | None:
        """Return the table and the row that hold a key."""
        path, _, name = key.rpartition("/")
        at = position(name)
        if at is None:
            return None
        table = self.tables.get(path)
        row = None if table is None or path in self.slashed else _row(table, at)
        if table is not None and row is not None:
            return table, row
        if self.slashed:
            for owner, more in _fronts(path):
                if owner in self.slashed:
                    row = _row(self.tables[owner], (*more, *at))
                    return None if row is None else (self.tables[owner], row)
        return None

    def _made(self, key: str) -> Located | None:
        if self.rules is None:
            return None
        from refmaker.templates import TemplateError

        try:
            found = self.rules.lookup(key)
            near = None if found is None else self._windows.find(key)
        except TemplateError as error:
            raise MetadataError(f"a rule does not say where this is: {error}", path=key) from error
        if found is None:
            return None
        return Located(found.url, found.offset or 0, found.length, *(near or (None, 0)))

    @cached_property
    def _windows(self) -> GenWindows:
        from refmaker.storage.gen_windows import GenWindows

        return GenWindows(self.rules or ())

    def metadata(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and text of every metadata document that is kept in the set itself."""
        for key, data in self.documents.items():
            if key.rpartition("/")[2] in METADATA:
                yield key, data

    def urls(self) -> Iterator[str]:
        """Yield the files that are known without expanding any rule."""
        for table in self.tables.values():
            yield from table.urls
        for reference in self.others.values():
            yield reference.url

    def children(self, path: str) -> tuple[list[str], Iterator[str]] | None:
        """Return the names of folders and files in a folder, or None if there is none."""
        folders, files = self._tree
        inner = self._inside(path)
        if path not in folders and inner is None:
            return None
        below, names = set(folders.get(path, ())), files.get(path, [])
        if inner is not None:
            last, numbers = inner
            if not last:
                below.update(map(str, numbers))
            else:
                seen = set(names)
                names = [*names, *(str(i) for i in numbers if str(i) not in seen)]
        return sorted(below), self._files(path, names)

    def _inside(self, path: str) -> tuple[bool, list[int]] | None:
        """Return what follows a path in the keys of a table whose keys have slashes.

        The numbers, and whether they are the last ones of their keys.
        """
        for owner, at in _fronts(path) if self.slashed else ():
            if owner not in self.slashed:
                continue
            table = self.tables[owner]
            if len(at) >= len(table.grid) or any(
                a >= b for a, b in zip(at, table.grid, strict=False)
            ):
                continue
            step = count(table.grid[len(at) + 1 :])
            first = 0
            for part, extent in zip((*at, 0), table.grid, strict=False):
                first = first * extent + part
            first *= step
            numbers = table.numbers()
            low, high = np.searchsorted(
                numbers, np.array([first, first + step * table.grid[len(at)]], np.uint64)
            ).tolist()
            found = np.unique((numbers[low:high] - np.uint64(first)) // np.uint64(step)).tolist()
            return (len(at) == len(table.grid) - 1, found) if found or not at else None
        return None

    def _files(self, path: str, names: list[str]) -> Iterator[str]:
        yield from names
        table = None if path in self.slashed else self.tables.get(path)
        if table is not None and not self.rules:
            yield from _names(table)
        elif table is not None or self.rules:
            seen = set(names)
            made = (key for key in self._rule_keys() if key.rpartition("/")[0] == path)
            named = (key.rpartition("/")[2] for key in made)
            for name in (*(_names(table) if table is not None else ()), *named):
                if name not in seen:
                    seen.add(name)
                    yield name

    def keys(self) -> Iterator[str]:
        """Yield every key.

        Raises
        ------
        LimitError
            If there are too many that rules describe.
        """
        folders, files = self._tree
        for folder in sorted(folders):
            for name in self._files(folder, files.get(folder, [])):
                yield joined_path(folder, name)
        for path in sorted(self.slashed):
            for name in _names(self.tables[path]):
                yield joined_path(path, name.replace(".", "/"))

    def _rule_keys(self) -> Iterator[str]:
        if self.rules is None:
            return
        if self.rules.size > _LISTED:
            raise LimitError(f"{self.rules.size} keys are too many to be listed")
        for rule in self.rules:
            yield from rule.iter_keys()

    @cached_property
    def _tree(self) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
        """Folders and the names of folders in them; folders and the names of files in them."""
        folders: dict[str, set[str]] = {"": set()}
        files: dict[str, list[str]] = {}
        for key in (*self.documents, *self.others):
            path, _, name = key.rpartition("/")
            files.setdefault(path, []).append(name)
            _add(folders, path)
        for path in self.tables:
            _add(folders, path)
        for rule in self.rules or ():
            if any("/" in literal for literal in rule.pattern.literals[1:]):
                for key in self._rule_keys():
                    _add(folders, key.rpartition("/")[0])
            else:
                _add(folders, rule.pattern.literals[0].rpartition("/")[0])
        return folders, files


def _add(folders: dict[str, set[str]], path: str) -> None:
    """Add a folder and those that it lies in."""
    made = []
    while path not in folders:
        folders[path] = set()
        made.append(path)
        path = path.rpartition("/")[0]
    for folder in made:
        parent, _, name = folder.rpartition("/")
        folders[parent].add(name)


def _fronts(path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a path and the paths above it, as long as numbers lie between, with the numbers."""
    at: tuple[int, ...] = ()
    yield path, at
    while path:
        path, _, name = path.rpartition("/")
        number = position(name)
        if number is None or len(number) > 1:
            return
        at = (*number, *at)
        yield path, at


def _located(url: str, offset: int, length: int, table: ChunkTable | None, row: int) -> Located:
    whole = offset == 0 and length == 0
    return Located(url, offset, None if whole else length, table, row)


def _row(table: ChunkTable, at: tuple[int, ...]) -> int | None:
    grid = table.grid or (1,)
    if len(at) != len(grid):
        return None
    number = 0
    for part, extent in zip(at, grid, strict=True):
        if part >= extent:
            return None
        number = number * extent + part
    if table.index is None:
        return number
    row = int(np.searchsorted(table.index, np.uint64(number)))
    found = row < table.index.size and int(table.index[row]) == number
    return row if found else None


def _name(number: int, grid: tuple[int, ...]) -> str:
    return ".".join(str(int(part)) for part in np.unravel_index(number, grid)) if grid else "0"


def _names(table: ChunkTable) -> Iterator[str]:
    """Yield the names of a table's rows, some thousand at a time."""
    if not table.grid:
        yield "0"
        return
    numbers = table.numbers().astype(np.int64)
    for start in range(0, numbers.size, 1 << 14):
        columns = np.unravel_index(numbers[start : start + (1 << 14)], table.grid)
        for parts in zip(*(column.tolist() for column in columns), strict=True):
            yield ".".join(map(str, parts))
