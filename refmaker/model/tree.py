"""The reference set in memory: groups of arrays, each with a table of its chunks.

Everything here is a frozen value made of plain Python and numpy; nothing knows Zarr,
a file format or a storage format.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model.chunk_table import ChunkTable, Reference, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model.edges import Edges
    from refmaker.model.origin import Origin

__all__ = ["Array", "ChunkTable", "Group", "Reference", "chunk_grid", "joined_path", "nested"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Array:
    """One array: what its elements are, how chunks are encoded, and where they lie.

    Parameters
    ----------
    shape, chunk_shape : tuple of int
        Elements along each dimension, of the array and of one chunk (at least 1): of the largest
        as it is stored, where they differ.
    dtype : numpy.dtype
        Element type in file byte order; ``object`` stands for variable-length strings,
        which need the filter ``vlen-utf8``.
    chunks : ChunkTable
        The chunks, over the grid ``ceil(shape / chunk_shape)``, or as `edges` say.
    fill_value : object
        Value of elements in absent chunks; None where nothing declares one.
    order : {"C", "F"}
        Order of the elements inside a chunk.
    filters : tuple of dict
        Codec configurations in the order in which they encode.
    compressor : dict, optional
        Codec configuration that encodes last.
    dimension_names : tuple of str, optional
        One name per dimension.
    attributes : mapping
        JSON values.
    edges : tuple of Edges or None, optional
        For each dimension how chunks of different lengths cut it, None where all are of
        ``chunk_shape``. Only version 3 of Zarr has such grids.
    origin : Origin, optional
        Where it stands in the file that it comes from, if it was edited since.

    Raises
    ------
    MetadataError
        If shapes, chunk grid, edges or names disagree.
    """

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: ChunkTable
    fill_value: Any = None
    order: str = "C"
    filters: tuple[Mapping[str, Any], ...] = ()
    compressor: Mapping[str, Any] | None = None
    dimension_names: tuple[str, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[Edges | None, ...] | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.chunk_shape):
            raise MetadataError(f"shape {self.shape} and chunk shape {self.chunk_shape}")
        if min(self.shape, default=0) < 0 or min(self.chunk_shape, default=1) < 1:
            raise MetadataError(f"shape {self.shape} or chunk shape {self.chunk_shape} is negative")
        grid = chunk_grid(self.shape, self.chunk_shape)
        if self.edges is not None:
            grid = self._uneven_grid(grid)
        if grid != self.chunks.grid:
            raise MetadataError(f"the table's grid is {self.chunks.grid}, the array's {grid}")
        if not self.shape and self.dimension_names is None:
            # Nothing is not named there, and xarray refuses arrays without names.
            object.__setattr__(self, "dimension_names", ())
        if self.dimension_names is not None and len(self.dimension_names) != len(self.shape):
            raise MetadataError(f"{len(self.shape)} dimensions, names {self.dimension_names}")
        if self.order not in ("C", "F"):
            raise MetadataError(f"order {self.order!r}")

    def _uneven_grid(self, grid: tuple[int, ...]) -> tuple[int, ...]:
        edges = self.edges or ()
        if len(edges) != len(self.shape) or all(along is None for along in edges):
            raise MetadataError(f"{len(self.shape)} dimensions, edges of {edges}")
        found = []
        for along, n, extent, size in zip(edges, grid, self.shape, self.chunk_shape, strict=True):
            if along is None:
                found.append(n)
                continue
            if along.size != extent or along.largest != size:
                raise MetadataError(
                    f"{extent} elements in chunks of up to {size}, edges of {along.size} in chunks"
                    f" of up to {along.largest}"
                )
            found.append(along.count)
        return tuple(found)

    def __repr__(self) -> str:
        return f"<Array {self.dtype} {self.shape} in chunks of {self.chunk_shape}>"

    def region(self, at: Sequence[Any]) -> tuple[slice, ...]:
        """Return the elements that a chunk holds.

        Parameters
        ----------
        at : sequence of int
            Its position in the grid.
        """
        edges = self.edges or (None,) * len(self.shape)
        found = []
        for i, size, extent, along in zip(at, self.chunk_shape, self.shape, edges, strict=True):
            start = int(i) * size if along is None else int(along.starts[i])
            stop = start + (size if along is None else int(along.lengths[i]))
            found.append(slice(start, min(stop, extent)))
        return tuple(found)

    def decoded_shape(self, at: Sequence[Any]) -> tuple[int, ...]:
        """Return the extents that a chunk decodes to; those of its region come first in it.

        Parameters
        ----------
        at : sequence of int
            Its position in the grid.
        """
        if self.edges is None:
            return self.chunk_shape
        return tuple(
            size if along is None else int(along.stored[i])
            for i, size, along in zip(at, self.chunk_shape, self.edges, strict=True)
        )

    def chunk_numbers(self, axis: int, positions: Any) -> NDArray[np.int64]:
        """Return the chunks along a dimension that hold elements.

        Parameters
        ----------
        axis : int
            The dimension.
        positions : array_like of int, shape (n,)
            Elements along it.
        """
        along = None if self.edges is None else self.edges[axis]
        if along is None:
            return np.asarray(positions, np.int64) // self.chunk_shape[axis]
        return np.searchsorted(along.starts, np.asarray(positions, np.int64), "right") - 1

    def starts(self, axis: int) -> NDArray[np.int64]:
        """Return the position of the first element of every chunk along a dimension."""
        along = None if self.edges is None else self.edges[axis]
        if along is not None:
            return along.starts
        return np.arange(self.chunks.grid[axis], dtype=np.int64) * self.chunk_shape[axis]

    @property
    def codecs(self) -> tuple[Mapping[str, Any], ...]:
        """All codec configurations in the order in which they encode."""
        return self.filters if self.compressor is None else (*self.filters, self.compressor)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return count(self.shape) * self.dtype.itemsize


def chunk_grid(shape: Sequence[int], chunk_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the number of chunks along each dimension."""
    return tuple(-(-n // c) for n, c in zip(shape, chunk_shape, strict=True))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Group:
    """A named collection of arrays and groups.

    Parameters
    ----------
    members : mapping of str to Array or Group
        Names without ``/``, not empty, neither ``.`` nor ``..``.
    attributes : mapping
        JSON values.

    Raises
    ------
    MetadataError
        If a name cannot be a part of a Zarr key.
    """

    members: Mapping[str, Array | Group] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.members:
            if not name or "/" in name or name in (".", ".."):
                raise MetadataError(f"{name!r} cannot be the name of an array or group")

    def __repr__(self) -> str:
        return f"<Group {list(self.members)}>"

    def walk(self, path: str = "") -> Iterator[tuple[str, Array | Group]]:
        """Yield ``(path, node)`` of this group (path ``""``) and all below, parents first."""
        # With a stack of its own: files nest deeper than Python likes to recurse.
        open_groups: list[Iterator[tuple[str, Array | Group]]] = [iter([(path, self)])]
        while open_groups:
            at, node = next(open_groups[-1], (None, None))
            if at is None or node is None:
                open_groups.pop()
                continue
            yield at, node
            if isinstance(node, Group):
                open_groups.append(_below(at, node))

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield ``(path, array)`` of all arrays below this group."""
        for path, node in self.walk():
            if isinstance(node, Array):
                yield path, node

    def map_arrays(self, change: Callable[[Array], Array]) -> Group:
        """Return a group of the same tree with what `change` makes of every array."""
        return self.map_paths(lambda _, array: change(array))

    def map_paths(self, change: Callable[[str, Array], Array]) -> Group:
        """Return a group of the same tree; `change` is given every array with its path."""
        found = {
            path: change(path, node) if isinstance(node, Array) else replace(node, members={})
            for path, node in self.walk()
        }
        root = nested(found)
        return root if isinstance(root, Group) else self

    def __getitem__(self, path: str) -> Array | Group:
        node: Array | Group = self
        for part in path.strip("/").split("/"):
            if not isinstance(node, Group) or part not in node.members:
                raise KeyError(path)
            node = node.members[part]
        return node


def joined_path(home: str, name: str) -> str:
    """Return the path of a member of a group."""
    return f"{home}/{name}" if home else name


def _below(path: str, group: Group) -> Iterator[tuple[str, Array | Group]]:
    for name, node in group.members.items():
        yield joined_path(path, name), node


def nested(nodes: Mapping[str, Array | Group]) -> Array | Group:
    """Return the root of groups and arrays that are known by their paths.

    Parameters
    ----------
    nodes : mapping of str to Array or Group
        Groups without members; those that are only there because something lies in them are
        added. The path of the root is empty.

    Raises
    ------
    MetadataError
        If something lies in an array.
    """
    known = {"": nodes.get("", Group()), **nodes}
    for path in nodes:
        parent = path.rpartition("/")[0]
        while parent not in known:
            known[parent] = Group()
            parent = parent.rpartition("/")[0]
    members: dict[str, dict[str, Array | Group]] = {}
    # Sorting keeps the order of equals, and so members that of the mapping.
    for path in sorted(known, key=lambda path: path.count("/") if path else -1, reverse=True):
        node, below = known[path], members.pop(path, {})
        if below:
            if isinstance(node, Array):
                raise MetadataError(f"an array with members: {', '.join(below)}", path=path or "/")
            node = replace(node, members=below)
        if not path:
            return node
        parent, _, name = path.rpartition("/")
        members.setdefault(parent, {})[name] = node
    return known[""]
