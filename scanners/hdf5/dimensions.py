"""Names of dimensions, from dimension scales and netCDF4's own attributes.

HDF5 Dimension Scale Specification, and netCDF4's use of it. Scales are resolved by the
address of the object, in one table for the file: asking the library for the name of a
reference searches the whole file, once for every dimension of every dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["PHONY", "Dimensions", "Scale"]

NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
PHONY = "phony_dim_"
"""How netCDF's names for dimensions without a scale begin."""
_RENAMED = "_nc4_non_coord_"


@dataclass(slots=True)
class Scale:
    """What is known of one dataset for naming dimensions.

    Parameters
    ----------
    path : str
        Its first path in the file.
    shape, maxshape : tuple
        Extents; None in `maxshape` where unlimited.
    is_scale : bool
        Whether it is a dimension scale.
    dimension_id : int, optional
        netCDF4's number of the dimension that this scale stands for.
    coordinates : tuple of int
        netCDF4's numbers of the dimensions of this variable.
    labels : tuple of str
        HDF5's labels of the dimensions, which are not unique; empty where there is none. Of a
        dataset of another file, the names that its dimensions have there.
    foreign : bool
        Whether the dataset is one of another file, to which a link leads.
    """

    path: str
    shape: tuple[int, ...]
    maxshape: tuple[int | None, ...]
    is_scale: bool = False
    dimension_id: int | None = None
    coordinates: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    foreign: bool = False


def variable_name(leaf: str) -> str:
    """Return the name of the variable: netCDF4 marks one that a dimension's name collides with."""
    return leaf.removeprefix(_RENAMED)


class Dimensions:
    """Names dimensions of all datasets of a file.

    Parameters
    ----------
    scales : dict of int to Scale
        Every dataset, by address.
    places : list of (str, int)
        Group, without a slash at the end, and address of every name of every dataset, in the
        order in which dimensions are to be numbered.
    attached : callable
        Gives, by a dataset's address, the addresses of the scales attached to each dimension.
        It is only asked where netCDF4's numbers do not tell: references are slow to resolve.
    """

    def __init__(
        self,
        scales: dict[int, Scale],
        places: list[tuple[str, int]],
        attached: Callable[[int], list[list[int]]],
    ) -> None:
        self._scales = scales
        self._places = dict.fromkeys(places)
        self._attached = attached
        self._by_id = {
            scale.dimension_id: address
            for address, scale in scales.items()
            # Variables have the attribute, too: the number of their first dimension.
            if scale.dimension_id is not None and scale.is_scale
        }
        self._named: dict[tuple[str, str], int] = {}
        self._scales_of: dict[str, list[int]] = {}
        for address, scale in scales.items():
            if scale.is_scale and scale.shape:
                home, leaf = _split(scale.path)
                self._named[home, leaf] = address
                self._scales_of.setdefault(home, []).append(address)
        self._phony: dict[str, list[tuple[str, int, bool]]] = {}
        # netCDF numbers all dimensions alike, those with a scale first.
        known = len(self._named)
        self._count = max([known, *(n + 1 for n in self._by_id if n is not None)])
        self.warnings: list[str] = []
        self.unlimited: dict[str, list[str]] = {}
        found = {address: self._scales_for(address) for address in scales}
        self._longest = self._extents(found)
        self._shapes = {address: self._shape(address, found[address]) for address in scales}
        self._labels = self._usable_labels(found)
        # All at once: the numbers of nameless dimensions follow from the order of the datasets.
        self._names = {
            (group, address): self._name(group, address, found[address])
            for group, address in self._places
        }

    def names(self, address: int, group: str | None = None) -> tuple[str, ...]:
        """Return one name for each dimension of a dataset.

        Parameters
        ----------
        group : str, optional
            The group from which the dataset is seen, if that is not the one of its first path.
        """
        home = _split(self._scales[address].path)[0] if group is None else group
        return self._names[home, address]

    def shape(self, address: int) -> tuple[int, ...]:
        """Return a dataset's extents as netCDF sees them: as long as its unlimited dimensions."""
        return self._shapes[address]

    def _scales_for(self, address: int) -> list[int | None]:
        """Return the scale of each dimension; None where there is none of that extent."""
        scale = self._scales[address]
        return self._numbered(scale) or self._by_reference(address, scale)

    def _extents(self, found: dict[int, list[int | None]]) -> dict[int, int]:
        """Return the extent of each unlimited dimension: that of the longest of its variables."""
        longest: dict[int, int] = {}
        for address, scales in found.items():
            for extent, of in zip(self._scales[address].shape, scales, strict=True):
                if of is not None and self._scales[of].maxshape[0] is None:
                    longest[of] = max(longest.get(of, 0), extent)
        return longest

    def _shape(self, address: int, scales: list[int | None]) -> tuple[int, ...]:
        extents = self._scales[address].shape
        return tuple(
            extent if of is None else self._longest.get(of, extent)
            for extent, of in zip(extents, scales, strict=True)
        )

    def _usable_labels(self, found: dict[int, list[int | None]]) -> dict[tuple[str, str], int]:
        """Return the extents of labels that can be names, by group and label.

        A label that stands for two extents in sight of one another names neither.
        """
        extents: dict[tuple[str, str], set[int]] = {}
        for group, address in self._places:
            scale = self._scales[address]
            for axis, label in enumerate(scale.labels[: len(scale.shape)]):
                if label and found[address][axis] is None:
                    extents.setdefault((group, label), set()).add(scale.shape[axis])
        for (group, label), seen in extents.items():
            for above in _above(group):
                seen.update(extents.get((above, label), ()))
                known = self._named.get((above, label))
                if known is not None:
                    seen.add(self._longest.get(known, self._scales[known].shape[0]))
        doubtful = sorted({label for (_, label), seen in extents.items() if len(seen) > 1})
        if doubtful:
            self.warnings.append(
                f"labels of dimensions that have several extents are not taken for names: "
                f"{', '.join(doubtful)}"
            )
        return {key: min(seen) for key, seen in extents.items() if key[1] not in doubtful}

    def _name(self, group: str, address: int, scales: list[int | None]) -> tuple[str, ...]:
        scale = self._scales[address]
        taken: list[str] = []
        for axis, found in enumerate(scales):
            name = self._visible(found, group) if found is not None else None
            if name is None:
                name = self._label(group, scale, axis, taken)
            if name is None:
                name = self._phony_name(group, scale, axis, taken)
            taken.append(name)
            if scale.maxshape[axis] is None:
                unlimited = self.unlimited.setdefault(group, [])
                if name not in unlimited:
                    unlimited.append(name)
        return tuple(taken)

    def _label(self, group: str, scale: Scale, axis: int, taken: Sequence[str]) -> str | None:
        """Return a dimension's label if it can be its name."""
        label = scale.labels[axis] if axis < len(scale.labels) else ""
        usable = (group, label) in self._labels and scale.labels.count(label) == 1
        if scale.foreign and self._is_seen(label, group):
            return None
        return label if usable and label not in taken else None

    def _is_seen(self, name: str, group: str) -> bool:
        """Whether a name stands for a dimension of this file, with coordinates of its own."""
        return bool(name) and any((at, name) in self._named for at in _above(group))

    def _numbered(self, scale: Scale) -> list[int | None]:
        """Return the scales that netCDF4's numbers name; none if they do not fit the dataset.

        A file put together by other tools may hold the numbers of another one.
        """
        found: list[int | None] = [self._by_id.get(number) for number in scale.coordinates]
        if len(found) != len(scale.shape):
            return []
        for address, extent in zip(found, scale.shape, strict=True):
            known = self._scales.get(-1 if address is None else address)
            if known is None or not known.shape:
                return []
            if known.shape[0] != extent and known.maxshape[0] is not None:
                return []
        return found

    def _by_reference(self, address: int, scale: Scale) -> list[int | None]:
        """Return the first scale attached to each dimension; a scale names its own."""
        if scale.is_scale and len(scale.shape) == 1:
            return [address]
        found: list[int | None] = []
        attached = self._attached(address)
        for axis in range(len(scale.shape)):
            targets = attached[axis] if axis < len(attached) else []
            known = [target for target in targets if target in self._scales]
            if len(known) > 1:
                self.warnings.append(
                    f"{scale.path}: dimension {axis} has {len(known)} scales; "
                    f"{self._scales[known[0]].path} names it"
                )
            own = address if scale.is_scale and axis == 0 else None
            found.append(self._fitting(scale, axis, known[0] if known else own))
        return found

    def _fitting(self, scale: Scale, axis: int, of: int | None) -> int | None:
        """Return a scale if the dimension can be as long; one that is unlimited always is."""
        if of is None:
            return None
        known = self._scales[of]
        if known.shape and (known.maxshape[0] is None or known.shape[0] == scale.shape[axis]):
            return of
        self.warnings.append(
            f"{scale.path}: dimension {axis} has {scale.shape[axis]} elements, its scale "
            f"{known.path} {known.shape}; it does not name it"
        )
        return None

    def _visible(self, address: int, group: str) -> str:
        """Return the shortest name under which a scale is seen from a group."""
        home, leaf = _split(self._scales[address].path)
        leaf = variable_name(leaf)
        at = group
        while True:
            seen = self._named.get((at, leaf), self._named.get((at, _RENAMED + leaf)))
            if seen == address:
                return leaf
            if seen is not None or at == "":
                # Hidden by another of its name, or out of sight: its path tells them apart.
                return f"{home}/{leaf}".removeprefix("/") if home else f"/{leaf}"
            at = at.rpartition("/")[0]

    def _phony_name(self, group: str, scale: Scale, axis: int, taken: Sequence[str]) -> str:
        """Return netCDF4's name for a dimension without scale.

        Dimensions of a group that are equally long, and equally unlimited, are one, but for
        those of one dataset; also with one that has a scale.
        """
        size, unlimited = scale.shape[axis], scale.maxshape[axis] is None
        # What has a name elsewhere is not taken for a dimension that happens to be as long.
        apart = scale.foreign and bool(scale.labels[axis])
        for address in () if apart else self._scales_of.get(group, ()):
            other, name = (
                self._scales[address],
                variable_name(_split(self._scales[address].path)[1]),
            )
            alike = (other.shape[0], other.maxshape[0] is None) == (size, unlimited)
            if alike and self._longest.get(address, size) == size and name not in taken:
                return name
        known = self._phony.setdefault(group, [])
        for name, extent, open_ended in known:
            if (extent, open_ended) == (size, unlimited) and name not in taken:
                return name
        name = f"{PHONY}{self._count}"
        self._count += 1
        known.append((name, size, unlimited))
        return name


def _split(path: str) -> tuple[str, str]:
    """Return the group, without a slash at the end, and the last part of a path."""
    group, _, leaf = path.rpartition("/")
    return group, leaf


def _above(group: str) -> Iterator[str]:
    """Yield a group and those above it."""
    yield group
    while group:
        group = group.rpartition("/")[0]
        yield group


def is_placeholder(name_attribute: object) -> bool:
    """Tell whether a scale's NAME says that it only stands for a dimension."""
    return isinstance(name_attribute, str) and name_attribute.startswith(NOT_A_VARIABLE)
