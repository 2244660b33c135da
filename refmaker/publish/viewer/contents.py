"""What is in a set for those who look at it: its subjects, their values, and what is amiss."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.model import Array, Group
from refmaker.model.report import Outcome
from refmaker.publish.pictures.axes import Surroundings
from refmaker.publish.pictures.budget import Budget
from refmaker.publish.pictures.source import Source
from refmaker.publish.pictures.subjects import Subject, subjects
from refmaker.publish.viewer.points import PointGrid
from refmaker.publish.viewer.regions import LOOK, Regions
from refmaker.reading.open import loaded
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from refmaker.reading.open import Refs

__all__ = ["Contents", "Datasets", "reason"]

_NOTES = 20
_GRIDS = 8


class Contents:
    """A set that is looked at.

    Parameters
    ----------
    refs, storage_options, **opening
        As for `refmaker.open_store`.

    Attributes
    ----------
    name : str
        Of the set.
    subjects : dict of str to Subject
        What can be looked at, by path.
    beside : set of str
        Those that say something of others, or are a single value.
    source : Source
        Has coordinates and their texts.
    regions : Regions
        Reads values.
    around : Surroundings
        Finds coordinates by their names.

    Raises
    ------
    RefmakerError
        As `refmaker.open_store`.
    """

    def __init__(
        self, refs: Refs, storage_options: Mapping[str, Any] | None = None, **opening: Any
    ) -> None:
        how = {name: opening.pop(name) for name in ("reference_options", "scan") if name in opening}
        held = loaded(refs, storage_options, **how, allow=opening.get("allow"))
        self.source = Source(held, storage_options, budget=Budget(LOOK), **opening)
        # What a set may not name is told now rather than by the first picture.
        _ = self.source.store
        self.regions = Regions(self.source)
        self._grids: OrderedDict[tuple[str, str], PointGrid] = OrderedDict()
        self._report = held.report if isinstance(held, ReferenceSet) else None
        self.name = _name(refs)
        self.around = Surroundings(self.source.root)
        found = {one.path: one for one in subjects(held)}
        beside = {one.path: one for one in self._rest(found)}
        self.subjects, self.beside = found | beside, set(beside)

    def find(self, name: str) -> str:
        """Return the path of what can be looked at, by its path or the last part of it.

        Raises
        ------
        UnsupportedError
            If nothing has this name.
        """
        name = name.strip("/")
        for path in self.subjects:
            if path == name:
                return path
        ending = [path for path in self.subjects if path.endswith(f"/{name}")]
        if ending:
            return ending[0]
        near = get_close_matches(name, [*self.subjects], 1) or list(self.subjects)[:1]
        hint = f"there is {near[0]}" if near else None
        raise UnsupportedError(f"there is nothing to look at of the name {name}", hint=hint)

    def point_grid(self, ground: tuple[str, str]) -> PointGrid:
        """Return the cells that show points, whose latitudes and longitudes have these paths."""
        if ground not in self._grids:
            north, east = (self.regions.read(path, [slice(None)]) for path in ground)
            self._grids[ground] = PointGrid(north, east)
            while len(self._grids) > _GRIDS:
                self._grids.popitem(last=False)
        return self._grids[ground]

    def notes(self) -> list[str]:
        """Return what of the files is not in the set, and what a reader should know."""
        if self._report is None:
            return []
        rows = [row for row in self._report.rows if row.outcome == Outcome.SKIPPED]
        lost = [f"{row.path}: {row.reason}" for row in rows]
        told = [*lost, *self._report.warnings]
        more = [f"and {len(told) - _NOTES:,} more"] if len(told) > _NOTES else []
        return told[:_NOTES] + more

    def _rest(self, found: Mapping[str, Subject]) -> Iterator[Subject]:
        """Yield what is shown as numbers: coordinates, scalars, texts."""
        taken = {path for one in found.values() for path in (one.path, *one.levels, *one.columns)}
        for path, array in self.source.root.arrays():
            if path not in taken and len(array.shape) <= 1:
                axes = self.around.axes(path, array)
                yield Subject(kind="table", path=path, title=path.rpartition("/")[2], axes=axes)


class Datasets(Mapping[str, "xr.Dataset"]):
    """Groups near an array as xarray's datasets, each opened when it is first asked for.

    Parameters
    ----------
    contents : Contents
        The set.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._open: dict[str, xr.Dataset] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._contents.around.groups)

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents.around.groups)

    def __getitem__(self, path: str) -> xr.Dataset:
        """Open a group.

        Raises
        ------
        Exception
            Whatever xarray makes of its variables.
        """
        if path not in self._contents.around.groups:
            raise KeyError(path)
        with self._lock:
            if path not in self._open:
                self._open[path] = self._dataset(path, set())
            return self._open[path]

    def array(self, path: str) -> xr.DataArray:
        """Return an array, without those beside it if they cannot be opened.

        Raises
        ------
        Exception
            Whatever xarray makes of it.
        """
        group, _, name = path.rpartition("/")
        try:
            return self[group][name]
        except Exception:  # noqa: BLE001 - xarray's of a neighbour, which costs not this array
            members = self._contents.around.groups[group].members
            dims = self._contents.source.array(path).dimension_names or ()
            return self._dataset(group, set(members) - {name, *dims})[name]

    def near(self, path: str) -> Mapping[str, xr.Dataset]:
        """Return the groups that may say what image an array is part of, as far as they open."""
        home = path.rpartition("/")[0]
        above = home.rpartition("/")[0]
        found = {}
        for group in self:
            beside = group.rpartition("/")[0] == above and group.rpartition("/")[2].isdigit()
            if group in (home, above, "") or (home and beside):
                try:
                    found[group] = self[group]
                except Exception:  # noqa: BLE001, S112 - what xarray and codecs raise; it says nothing
                    continue
        return found

    def _dataset(self, group: str, dropped: set[str]) -> xr.Dataset:
        import xarray as xr

        from refmaker.reading.xarray_store import StoreBackend

        members = self._contents.around.groups[group].members
        return xr.open_dataset(
            self._contents.source.store,  # type: ignore[arg-type]
            engine=StoreBackend,
            group=f"/{group}",
            chunks=None,
            cache=False,
            decode_times=False,
            drop_variables=[name for name in dropped if isinstance(members[name], Array)],
        )


def reason(error: BaseException, path: str = "") -> str:
    """Return in one line what is wrong with an array."""
    cause = error.__cause__ if isinstance(error.__cause__, RefmakerError) else error
    text = str(cause) if isinstance(cause, RefmakerError) else f"{type(cause).__name__}: {cause}"
    line = " ".join(text.split())
    return line if not path or path in line else f"{path}: {line}"


def _name(refs: Any) -> str:
    if isinstance(refs, str | os.PathLike):
        return os.path.basename(os.fspath(refs).rstrip("/")) or os.fspath(refs)
    if isinstance(refs, ReferenceSet):
        return os.path.basename(refs.report.url.rstrip("/")) or "reference set"
    if isinstance(refs, Group):
        return "reference set"
    return ", ".join(os.path.basename(os.fspath(one)) for one in list(refs)[:3])
