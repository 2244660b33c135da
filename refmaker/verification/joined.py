"""Values that a set of many files keeps itself, evaluated again from the files.

Joined coordinates, small variables, and chunks that were never written are no byte ranges of any
file. Where each file stands along the dimensions of the set is told by the chunks that are: a
chunk that is the third of its file and the tenth of the set moves its whole file by seven. Where
a file has no such chunks, its own coordinate tells. The values come from the format's library.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.tree import joined_path
from refmaker.scanning.protocol import MismatchError
from refmaker.verification.compare import NotComparableError, same_values
from refmaker.verification.packed import as_decoded
from refmaker.verification.times import in_units_of, time_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array, Group
    from refmaker.scanning.protocol import Tolerance
    from refmaker.verification.scanned_files import OpenFiles, ScannedFile

    Dimension = tuple[str, str]
    Pairs = list[tuple[NDArray[Any], NDArray[Any]]]

__all__ = ["JoinedValues"]

_SMALL = 16 * 1024**2
"""Bytes of an array of one file that are read at once and remembered."""
_ROUNDING = 1e-9
_FILES = 1024
"""Files that are looked at, unless all chunks are compared."""


@dataclass(slots=True)
class _Part:
    """What one file has for a set.

    Parameters
    ----------
    url : str
        The file.
    places : dict
        By dimension of the set: where each element of the file's own stands; one number where
        the file has no such dimension.
    values : dict
        Small arrays that the set keeps itself, with what the file's metadata say of them.
    """

    url: str
    places: dict[Dimension, NDArray[Any]] = field(default_factory=dict)
    values: dict[str, tuple[Array, NDArray[Any]]] = field(default_factory=dict)


class JoinedValues:
    """What the files of a set say of the chunks that are no byte ranges.

    Parameters
    ----------
    group : Group
        The set.
    urls : sequence of str
        Its files, in the order in which the set names them.
    files : OpenFiles
        The same, to be opened.
    own : callable
        Returns the values of an array as the set has them, by its path.
    whole : bool
        Whether all files are looked at, however many they are.
    """

    def __init__(
        self,
        group: Group,
        urls: Sequence[str],
        files: OpenFiles,
        own: Callable[[str], NDArray[Any]],
        *,
        whole: bool,
    ) -> None:
        self._arrays = dict(group.arrays())
        chosen = range(len(urls))
        if not whole and len(urls) > _FILES:
            inner = random.Random(0).sample(chosen[1:-1], _FILES - 2)  # noqa: S311 - no secret
            chosen = [0, *sorted(inner), len(urls) - 1]  # type: ignore[assignment]
        self._urls = [urls[number] for number in chosen]
        self._all = len(self._urls) == len(urls)
        self._files = files
        self._own = own
        self._parts: list[_Part] | None = None
        self._rewritten: set[str] = set()
        self._lacking: dict[str, str] = {}

    @property
    def parts(self) -> list[_Part]:
        """What each file has; all files are opened for it once."""
        if self._parts is None:
            kept = {path for path, array in self._arrays.items() if array.chunks.inlined}
            self._parts = [self._part(url, kept) for url in self._urls]
            self._place_by_labels()
        return self._parts

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far values of an array may be off, as the first file says."""
        return self._files[self._urls[0]].tolerance(path, array)

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values that the files have for a region; the set's own where none has any.

        Raises
        ------
        NotComparableError
            If no file has any of it, or has it in another form.
        """
        shape = tuple(part.stop - part.start for part in region)
        values = np.zeros(shape, array.dtype)
        known = np.zeros(shape, bool)
        for part in self.parts:
            self._put(part, path, array, region, values, known)
        if not known.any() and values.size:
            return self._anywhere(path, array, region)
        if path not in self._rewritten and path not in self._lacking and known.all():
            return values
        own = np.asarray(self._own(path)[region])
        self._check_coordinate(path, array, own, known)
        if path in self._rewritten:
            # Counting from another date rounds.
            near = np.isclose(own, values, rtol=_ROUNDING, atol=_ROUNDING)
            values = np.where(near, own, values)
        return np.where(known, values, own)

    def _anywhere(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values of an array of which one position was taken, if a file has them.

        Of sets that were joined before nobody knows any more which position that was.
        """
        axes = () if array.origin is None else array.origin.axes
        gone = [i for i, axis in enumerate(axes) if axis is None]
        whole = tuple(part.stop - part.start for part in region) == array.shape
        found = False
        own = np.asarray(self._own(path)[region])
        for part in self.parts if gone and whole else ():
            if path not in part.values or part.values[path][1].ndim != len(axes):
                continue
            there, values = part.values[path]
            found = True
            values = self._converted(part, path, array, there, values)
            taken = np.moveaxis(values, gone, range(len(gone)))
            rows = taken.reshape(-1, *taken.shape[len(gone) :])
            if any(
                row.size == own.size and same_values(row.reshape(own.shape), own) for row in rows
            ):
                return own
        if found:
            raise MismatchError("no file has its values")
        raise NotComparableError("none of its files has values for it")

    def _check_coordinate(
        self,
        path: str,
        array: Array,
        own: NDArray[Any],
        known: NDArray[np.bool_],
    ) -> None:
        """Look at what no file has, and at what files have that is nowhere in the set."""
        coordinate = array.dimension_names == (path.rpartition("/")[2],)
        if coordinate and path in self._lacking:
            raise MismatchError(f"{self._lacking[path]} of a file is not among its values")
        if known.all() or not self._all:
            return
        rest = own[~known]
        if coordinate and own.dtype.kind in "iuf" and own.size > 2:
            # A coordinate that was made regular has values between those of the files.
            steps = np.diff(own)
            if np.allclose(steps, steps[0], rtol=1e-6):
                return
        if array.dtype.hasobject:
            empty = rest == ""
        else:
            fills = [array.fill_value, array.attributes.get("_FillValue")]
            empty = np.zeros(rest.shape, bool)
            for fill in fills:
                if isinstance(fill, int | float | np.generic):
                    empty |= rest == fill
            if rest.dtype.kind == "f":
                empty |= np.isnan(rest)
        if not empty.all():
            raise MismatchError("no file has some of its values")

    def _put(
        self,
        part: _Part,
        path: str,
        array: Array,
        region: tuple[slice, ...],
        values: NDArray[Any],
        known: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Fill in what one file has of a region, where no file before it has."""
        there = self._file_array(part, path)
        if there is None:
            return
        target: list[NDArray[Any]] = []
        source = self._taken(array, there)
        gone = tuple(local for local, _ in source)
        for axis, dimension in enumerate(self._dimensions(path, array)):
            local = _axis_of(array, there, dimension, axis)
            places = part.places.get(dimension)
            if places is None:
                added = local is None and array.origin is not None and array.shape[axis] == 1
                if not added and (local is None or there.shape[local] != array.shape[axis]):
                    return
                places = np.arange(array.shape[axis])
            wanted = np.flatnonzero((places >= region[axis].start) & (places < region[axis].stop))
            if not wanted.size:
                return
            target.append(places[wanted] - region[axis].start)
            if local is not None:
                source.append((local, wanted))
        if len(source) != len(there.shape):
            return
        found = np.squeeze(self._values(part, path, there, source), gone)
        found = self._converted(part, path, array, there, found)
        # Dimensions that only the set has are of one element here.
        lacking = [axis for axis, at in enumerate(target) if at.size == 1]
        for axis in lacking[: len(target) - found.ndim]:
            found = np.expand_dims(found, axis)
        where = np.ix_(*target) if target else ()
        new = ~known[where]
        values[where] = np.where(new, found.reshape(new.shape), values[where])
        known[where] = True

    @staticmethod
    def _taken(array: Array, there: Array) -> list[tuple[int, NDArray[Any]]]:
        """Return which element was taken of dimensions of a file's array that the set lacks."""
        origin = array.origin
        if origin is None or origin.start is None or origin.shape != there.shape:
            return []
        return [
            (local, np.array([start]))
            for local, (axis, start) in enumerate(zip(origin.axes, origin.start, strict=True))
            if axis is None
        ]

    def _file_path(self, path: str) -> str:
        """Return what an array of the set is called in its files."""
        origin = self._arrays[path].origin
        return path if origin is None else origin.path

    def _file_array(self, part: _Part, path: str) -> Array | None:
        if path in part.values:
            return part.values[path][0]
        if self._arrays[path].chunks.inlined:
            return None
        return self._files[part.url].arrays.get(self._file_path(path))

    def _values(
        self, part: _Part, path: str, there: Array, source: list[tuple[int, NDArray[Any]]]
    ) -> NDArray[Any]:
        """Return elements of one file's array."""
        chosen = [at for _, at in sorted(source, key=lambda item: item[0])]
        if path in part.values:
            whole = part.values[path][1]
            return whole[np.ix_(*chosen)] if chosen else whole
        region = tuple(slice(int(at.min()), int(at.max()) + 1) for at in chosen)
        native = self._files[part.url].native
        found = np.asarray(native.read(self._file_path(path), there, region))
        inner = [at - part.start for at, part in zip(chosen, region, strict=True)]
        return found[np.ix_(*inner)] if inner else found

    def _converted(
        self, part: _Part, path: str, array: Array, there: Array, values: NDArray[Any]
    ) -> NDArray[Any]:
        """Return a file's values in the type and the units of the set."""
        values = as_decoded(values, there, array)
        ours = time_attributes(self._arrays, path)
        arrays = {self._file_path(name): kept for name, (kept, _) in part.values.items()}
        own = self._file_path(path)
        theirs = time_attributes({**arrays, own: there}, own)
        if ours and theirs and ours != theirs:
            self._rewritten.add(path)
            return in_units_of(values, theirs, ours).astype(array.dtype)
        if values.dtype == array.dtype:
            return values
        with np.errstate(all="ignore"):
            cast = values.astype(array.dtype)
            back = cast.astype(values.dtype)
        numbers = values.dtype.kind == "f"
        if values.dtype.kind in "iuf" and not np.array_equal(back, values, equal_nan=numbers):
            raise NotComparableError(f"it has the type {values.dtype} in its files")
        return cast

    def _dimensions(self, path: str, array: Array) -> Iterator[Dimension]:
        """Yield the dimensions of an array, each with the group that it belongs to."""
        group = path.rpartition("/")[0]
        for name in array.dimension_names or ():
            home = group
            while home and f"{home}/{name}" not in self._arrays:
                home = home.rpartition("/")[0]
            yield (home if joined_path(home, name) in self._arrays else group), name
        for axis in range(len(array.dimension_names or ()), len(array.shape)):
            yield path, str(axis)

    def _part(self, url: str, kept: set[str]) -> _Part:
        part = _Part(url)
        file = self._files[url]
        pairs: dict[Dimension, Pairs] = defaultdict(list)
        for path, array in self._arrays.items():
            if any(self._files.owner(other) == url for other in array.chunks.urls):
                for dimension, found in self._moved(path, array, file, url):
                    pairs[dimension].append(found)
        for dimension, told in pairs.items():
            part.places[dimension] = _places(told)
        for path in sorted(kept):
            own = self._file_path(path)
            there = file.arrays.get(own)
            if there is None:
                continue
            if there.dtype.hasobject or there.nbytes <= _SMALL:
                everything = tuple(slice(0, extent) for extent in there.shape)
                values = np.asarray(file.native.read(own, there, everything))
                part.values[path] = there, values
        return part

    def _moved(
        self, path: str, array: Array, file: ScannedFile, url: str
    ) -> Iterator[tuple[Dimension, tuple[NDArray[Any], NDArray[Any]]]]:
        """Yield by dimension where elements are in the file, and where in the set."""
        table = array.chunks
        rows, which_file = np.arange(table.referenced), np.zeros(table.referenced, np.int64)
        if table.url is not None:
            own_files = np.array([self._files.owner(other) == url for other in table.urls])
            rows = np.flatnonzero(own_files[table.url])
            which_file = table.url[rows].astype(np.int64)
        starts_at = file.bases(table.urls)[which_file] + table.offset[rows].astype(np.int64)
        mine = np.array([axis[rows] for axis in table.coordinates()]).T
        owner, number, skipped = file.find(starts_at, table.length[rows].astype(np.int64))
        for which in np.unique(owner[owner >= 0]).tolist():
            there = file.arrays[file.paths[which]]
            chosen = owner == which
            at = np.unravel_index(number[chosen], there.chunks.grid) if there.shape else ()
            inner: Any = ()
            if there.shape:
                first = np.maximum(skipped[chosen], 0) // there.dtype.itemsize
                inner = np.unravel_index(first, there.chunk_shape)
            local = [i * n + k for i, n, k in zip(at, there.chunk_shape, inner, strict=True)]
            for axis, dimension in enumerate(self._dimensions(path, array)):
                own = _axis_of(array, there, dimension, axis)
                extent = 1 if own is None else there.shape[own]
                starts = np.zeros(int(chosen.sum()), np.int64) if own is None else local[own]
                number_of = mine[chosen, axis]
                along = None if array.edges is None else array.edges[axis]
                length = array.chunk_shape[axis] if along is None else along.lengths[number_of]
                placed = array.starts(axis)[number_of]
                yield dimension, _spread(starts, placed, 1 if own is None else length, extent)

    def _place_by_labels(self) -> None:
        """Place files without chunks of their own by their coordinates, or one after the other."""
        for path, array in self._arrays.items():
            name = path.rpartition("/")[2]
            dimension = (path.rpartition("/")[0], name)
            if array.dimension_names != (name,) or not array.chunks.inlined:
                continue
            own = np.asarray(self._own(path))
            for part in self._parts or ():
                if dimension in part.places or path not in part.values:
                    continue
                labels = self._converted(part, path, array, *part.values[path]).reshape(-1)
                if labels.shape == own.shape and same_values(labels, own):
                    continue
                places = _labelled(labels, own)
                if (places < 0).all() and labels.size > 1 and array.origin is None:
                    # None of them: the coordinate was given from elsewhere.
                    continue
                part.places[dimension] = places
                # Of a set that was cut the rest is not there, and need not be.
                if (places < 0).any() and array.origin is None:
                    self._lacking.setdefault(path, str(labels[places < 0][0]))


def _axis_of(array: Array, there: Array, dimension: Dimension, axis: int) -> int | None:
    """Return which axis of a file's array is a dimension of the set's; None if it has none."""
    names, count = there.dimension_names, len(array.shape)
    if array.origin is not None and len(array.origin.axes) == len(there.shape):
        axes = array.origin.axes
        return axes.index(axis - count) if axis - count in axes else None
    if names is not None and not dimension[1].isdecimal():
        return names.index(dimension[1]) if dimension[1] in names else None
    own = axis - (count - len(there.shape))
    return own if own >= 0 else None


def _spread(
    theirs: NDArray[Any], ours: NDArray[Any], length: Any, extent: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return single elements for blocks of them, of one length or of several."""
    lengths = np.broadcast_to(np.minimum(length, extent), theirs.shape)
    blocks = np.unique(np.stack([theirs, ours, lengths], axis=1), axis=0)
    steps = np.arange(int(blocks[:, 2].max(initial=0)))
    local, placed = blocks[:, :1] + steps, blocks[:, 1:2] + steps
    inside = (local < extent) & (steps < blocks[:, 2:])
    return local[inside], placed[inside]


def _places(pairs: Pairs) -> NDArray[Any]:
    """Return where each element stands, as most arrays say; -1 where none says."""
    local, placed = (np.concatenate(columns) for columns in zip(*pairs, strict=True))
    both, votes = np.unique(np.stack([local, placed], axis=1), axis=0, return_counts=True)
    found = np.full(int(local.max()) + 1, -1, np.int64)
    # The last one assigned counts, and that is the one that most say.
    order = np.argsort(votes, kind="stable")
    found[both[order, 0]] = both[order, 1]
    return found


def _labelled(labels: NDArray[Any], own: NDArray[Any]) -> NDArray[Any]:
    """Return where labels stand among those of the set; -1 where they do not."""
    if own.dtype.kind not in "iuf" or not own.size:
        at = {value: number for number, value in enumerate(own.tolist())}
        return np.array([at.get(value, -1) for value in labels.tolist()], np.int64)
    order = np.argsort(own)
    ordered = own[order]
    right = np.clip(np.searchsorted(ordered, labels), 0, own.size - 1)
    left = np.maximum(right - 1, 0)
    found = np.full(labels.shape, -1, np.int64)
    for near in (left, right):
        same = np.isclose(ordered[near], labels, rtol=_ROUNDING, atol=_ROUNDING)
        found[same] = order[near[same]]
    return found
