"""What is in a set for those who look at it: its subjects, their axes, and their values."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError, RefmakerError, UnsupportedError
from refmaker.model import Group
from refmaker.model.report import Outcome
from refmaker.publish.pictures.subjects import Subject, subjects
from refmaker.publish.viewer.regions import Regions
from refmaker.reading.open import loaded, open_arrays
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from refmaker.model import Array
    from refmaker.reading.open import Refs

__all__ = ["COLOURS", "Contents", "reason"]

_NOTES = 20
COLOURS = (3, 4)
"""Red, green and blue; with a fourth that says how opaque."""


class Contents(Mapping[str, "xr.Dataset"]):
    """The groups of a set, each opened when it is first looked at.

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
    regions : Regions
        Reads their values.

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
        self._store = open_arrays(held, storage_options, **opening)
        self.root = held if isinstance(held, Group) else held.group
        self._report = held.report if isinstance(held, ReferenceSet) else None
        self.name = _name(refs)
        self.regions = Regions()
        self._groups = {path: node for path, node in self.root.walk() if isinstance(node, Group)}
        self._open: dict[str, xr.Dataset] = {}
        self._alone: dict[str, xr.DataArray] = {}
        self._lock = threading.RLock()
        found = {one.path: one for one in subjects(held)}
        self.subjects = found | {one.path: one for one in self._rest(found)}

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __getitem__(self, path: str) -> xr.Dataset:
        """Open a group.

        Raises
        ------
        Exception
            Whatever xarray makes of its variables.
        """
        if path not in self._groups:
            raise KeyError(path)
        with self._lock:
            if path not in self._open:
                self._open[path] = self._dataset(path, ())
            return self._open[path]

    def array(self, path: str) -> xr.DataArray:
        """Return an array, lazy, as its attributes say that it is meant.

        Raises
        ------
        UnsupportedError
            If there is no such array.
        Exception
            Whatever xarray makes of it.
        """
        group, _, name = path.rpartition("/")
        if name not in getattr(self._groups.get(group), "members", ()):
            raise UnsupportedError("there is no such array", path=path)
        try:
            return self[group][name]
        except Exception:  # noqa: BLE001 - what is wrong with a neighbour never costs this array
            return self._by_itself(path)

    def member(self, path: str) -> Array:
        """Return an array of the set, with its table."""
        found = self.root[path]
        if isinstance(found, Group):
            raise UnsupportedError("there is no such array", path=path)
        return found

    def notes(self) -> list[str]:
        """Return what of the files is not in the set, and what a reader should know."""
        if self._report is None:
            return []
        rows = [row for row in self._report.rows if row.outcome == Outcome.SKIPPED]
        lost = [f"{row.path}: {row.reason}" for row in rows]
        told = [*lost, *self._report.warnings]
        more = [f"and {len(told) - _NOTES:,} more"] if len(told) > _NOTES else []
        return told[:_NOTES] + more

    def near(self, path: str) -> Mapping[str, xr.Dataset]:
        """Return the groups that may say what image an array is part of, as far as they open."""
        home = path.rpartition("/")[0]
        above = home.rpartition("/")[0]
        found = {}
        for group in self._groups:
            beside = group.rpartition("/")[0] == above and group.rpartition("/")[2].isdigit()
            if group in (home, above, "") or (home and beside):
                try:
                    found[group] = self[group]
                except Exception:  # noqa: BLE001, S112 - it says nothing, then
                    continue
        return found

    def _by_itself(self, path: str) -> xr.DataArray:
        """Open an array without those beside it, but for the coordinates of its dimensions."""
        with self._lock:
            if path not in self._alone:
                group, _, name = path.rpartition("/")
                members = self._groups[group].members
                dims = self.member(path).dimension_names or ()
                try:
                    opened = self._dataset(group, set(members) - {name, *dims})
                except Exception:  # noqa: BLE001 - a coordinate that cannot be read is done without
                    opened = self._dataset(group, set(members) - {name})
                self._alone[path] = opened[name]
            return self._alone[path]

    def _dataset(self, group: str, dropped: Any) -> xr.Dataset:
        import xarray as xr

        from refmaker.reading.xarray_store import StoreBackend

        members = self._groups[group].members.items()
        arrays = {name for name, node in members if not isinstance(node, Group)}
        return xr.open_dataset(
            self._store,  # type: ignore[arg-type]
            engine=StoreBackend,
            group=f"/{group}",
            chunks=None,
            cache=False,
            decode_timedelta=False,
            drop_variables=sorted(set(dropped) & arrays),
        )

    def _rest(self, found: Mapping[str, Subject]) -> Iterator[Subject]:
        """Yield what is shown as numbers: coordinates, scalars, texts."""
        taken = {path for one in found.values() for path in (one.path, *one.levels, *one.columns)}
        for path, array in self.root.arrays():
            if path not in taken and len(array.shape) <= 1:
                yield Subject(kind="table", path=path, title=path.rpartition("/")[2])


def reason(error: BaseException, path: str = "") -> str:
    """Return in one line what is wrong with an array."""
    if isinstance(error, RefmakerError):
        text = str(error)
    else:
        # What xarray and zarr raise often says less than what it was raised from.
        cause = error.__cause__ if isinstance(error.__cause__, RefmakerError) else error
        text = (
            str(cause) if isinstance(cause, MetadataError) else f"{type(cause).__name__}: {cause}"
        )
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
