"""Where an edited array stands in the file that it comes from, so that it can still be verified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The array of a file that an edited array is, or is a part of.

    Parameters
    ----------
    path : str
        Path of the array as scanning the file gives it; empty for values that were given when
        the set was edited, and are in no file.
    axes : tuple of int or None
        For each dimension of that array, which one it is of the edited array, counted from the
        last (-1); None where one element was taken and the dimension is gone. Dimensions of the
        edited array that are not named were added, with one element each.
    start : tuple of int, optional
        The first element along each dimension of that array; None where the array was joined
        from many files, and so begins at no one place.
    shape : tuple of int, optional
        Elements of that array along each dimension; None as for `start`.
    attributes : tuple of str
        Attributes that were set or removed by editing, ascending.
    """

    path: str
    axes: tuple[int | None, ...] = ()
    start: tuple[int, ...] | None = ()
    shape: tuple[int, ...] | None = ()
    attributes: tuple[str, ...] = ()

    @classmethod
    def whole(cls, path: str, shape: Sequence[int]) -> Origin:
        """Return the origin of an array that was not edited."""
        rank = len(shape)
        return cls(path, tuple(range(-rank, 0)), (0,) * rank, tuple(shape))

    @classmethod
    def given(cls) -> Origin:
        """Return the origin of values that are in no file."""
        return cls("")

    def joined(self) -> Origin:
        """Return the origin of what arrays like this one were joined to."""
        return replace(self, start=None, shape=None)

    def cut(self, axis: int, start: int) -> Origin:
        """Return the origin after elements before `start` were cut off a dimension.

        Parameters
        ----------
        axis : int
            A dimension of the edited array, counted from the last (-1).
        start : int
            The first element that stays.
        """
        if self.start is None or axis not in self.axes:
            return self
        found = list(self.start)
        found[self.axes.index(axis)] += start
        return replace(self, start=tuple(found))

    def without(self, axis: int) -> Origin:
        """Return the origin after a dimension of one element was removed; `axis` as for `cut`."""
        return replace(
            self,
            axes=tuple(
                None if own == axis else own + (own < axis) if own is not None else None
                for own in self.axes
            ),
        )

    def with_new(self, axis: int) -> Origin:
        """Return the origin after one was added, which is number `axis` from the last now."""
        return replace(
            self, axes=tuple(None if own is None else own - (own <= axis) for own in self.axes)
        )

    def edited(self, names: Iterable[str]) -> Origin:
        """Return the origin after attributes were set or removed."""
        return replace(self, attributes=tuple(sorted({*self.attributes, *names})))

    def places(self, shape: Sequence[int]) -> bool:
        """Tell whether an array of this shape lies inside that of the file, at a known place."""
        if self.start is None or self.shape is None:
            return False
        rank = len(shape)
        added = set(range(-rank, 0)) - set(self.axes)
        if any(shape[axis] != 1 for axis in added):
            return False
        return all(
            start + (1 if axis is None else shape[axis] if axis >= -rank else total + 1) <= total
            for axis, start, total in zip(self.axes, self.start, self.shape, strict=True)
        )

    def region(self, region: Sequence[slice]) -> tuple[slice, ...]:
        """Return the elements of the file's array that a region of the edited one is."""
        found = []
        for axis, start in zip(self.axes, self.start or (), strict=True):
            own = slice(0, 1) if axis is None else region[axis]
            found.append(slice(start + own.start, start + own.stop))
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that say something as a JSON object."""
        fields: dict[str, Any] = {"path": self.path}
        if self.path:
            fields["axes"] = list(self.axes)
            if self.start is not None and self.shape is not None:
                fields |= {"start": list(self.start), "shape": list(self.shape)}
        return fields | ({"attributes": list(self.attributes)} if self.attributes else {})

    @classmethod
    def from_dict(cls, document: Any) -> Origin:
        """Return the origin that a JSON object holds.

        Raises
        ------
        MetadataError
            If it holds none.
        """
        if not isinstance(document, dict) or not isinstance(document.get("path"), str):
            raise MetadataError(f"not the origin of an array: {document!r}")
        names = document.get("attributes", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise MetadataError(f"not the origin of an array: {document!r}")
        if not document["path"]:
            return replace(cls.given(), attributes=tuple(names))
        axes = _numbers(document, "axes", -(2**31), -1, none=True)
        start = shape = None
        if "start" in document:
            start = _numbers(document, "start", 0, 2**62)
            shape = _numbers(document, "shape", 0, 2**62)
            if not len(start) == len(shape) == len(axes):
                raise MetadataError(f"not the origin of an array: {document!r}")
        used = [axis for axis in axes if axis is not None]
        if used != sorted(set(used)):
            raise MetadataError(f"not the origin of an array: {document!r}")
        return cls(document["path"], axes, start, shape, tuple(names))


def _numbers(
    document: Mapping[str, Any], name: str, low: int, high: int, *, none: bool = False
) -> tuple[Any, ...]:
    values = document.get(name)
    if not isinstance(values, list) or not all(
        (none and value is None)
        or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)
        for value in values
    ):
        raise MetadataError(f"{name!r} of the origin of an array is {values!r}")
    return tuple(values)
