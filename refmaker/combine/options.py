"""What may be asked for when reference sets are combined.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["PACKING", "Appended", "CombineOptions"]

_WORDS = {
    "order": ("coordinate", "given"),
    "duplicates": ("error", "first", "last"),
    "join": ("exact", "outer"),
    "static": ("compare", "first"),
    "times": ("reencode", "keep"),
    "incompatible": ("error", "split"),
    "mismatched": ("error", "inline"),
    "zarr_format": ("auto", 2, 3),
}
_ATTRIBUTES = ("drop", "error", "first")
PACKING = frozenset({"scale_factor", "add_offset", "_FillValue", "_Unsigned", "dtype"})
"""Attributes by which stored values become others."""
_NAMES = ("concat", "shared", "varying", "regular", "drop")
_FORMER = {"eras": "incompatible", "odd": "mismatched"}
"""Names until 0.1, which are still understood."""

_Class = TypeVar("_Class", bound=type)


def _with_former_names(cls: _Class) -> _Class:
    """Let a class be made with the former names of its fields, too."""
    made: Any = vars(cls)["__init__"]

    @wraps(made)
    def __init__(self: Any, **given: Any) -> None:  # noqa: N807 - it takes that one's place
        for former, name in _FORMER.items():
            if former in given:
                given[name] = given.pop(former)
        made(self, **given)

    type.__setattr__(cls, "__init__", __init__)
    return cls


@_with_former_names
@dataclass(frozen=True, slots=True, kw_only=True)
class CombineOptions:
    """How to combine reference sets. Without any, nothing is assumed and nothing is repaired.

    Parameters
    ----------
    concat : sequence of str or str, optional
        Dimensions to join along, existing ones or new ones. By default those whose
        coordinates differ between the inputs, as ``xarray.combine_by_coords`` does it.
    coords : mapping of str to selector
        Where the coordinate along a dimension comes from; see `refmaker.combine.selectors`.
        Its keys are dimensions to join along, too.
    shared : sequence of str
        Variables that do not get a new dimension; they have to be the same in all inputs.
    varying : sequence of str
        Coordinates and variables without the dimension that get it nevertheless.
    drop : sequence of str
        Names or paths of variables and groups to leave out.
    order : {"coordinate", "given"}
        Sort along a dimension by coordinate, or keep the order of the inputs.
    monotonic : bool
        Refuse an order in which a coordinate neither only rises nor only falls.
    duplicates : {"error", "first", "last"}
        What to do where several inputs have the same place in the cube.
    join : {"exact", "outer"}
        Refuse cubes with holes, or leave chunks absent there; "outer" also makes the union of
        grids that differ along other dimensions.
    regular : sequence of str
        Dimensions whose coordinate is completed to equal distances; the gaps are absent chunks.
    attributes : {"drop", "error", "first"}, or mapping of str to these
        What to do with attributes that differ and say nothing about what values mean. By name,
        it counts for attributes that do, too, such as ``units`` and ``missing_value``, but not
        for those by which values are packed; ``"*"`` stands for all that are not named.
    static : {"compare", "first"}
        Compare variables without the dimension, by value, or take the first input's unseen.
    times : {"reencode", "keep"}
        Write times that are counted from different dates, or in calendars that agree on them, in
        the first input's units; or refuse them.
    incompatible : {"error", "split"}
        Refuse inputs that differ in dtype, chunks, codecs or packing, or make a group of each
        kind.
    chunks : str or mapping of str to int, optional
        Chunks of uncompressed data: ``"common"`` for the largest that fit into those of all
        inputs, or sizes along dimensions, to which chunks are cut.
    mismatched : {"error", "inline"}
        Refuse an input whose chunks, codecs or packing differ from the others', or keep its
        values in the set itself, encoded as the others are, where that changes none.
    zarr_format : {"auto", 2, 3}
        Version of Zarr that the result is to be written in: chunks of different lengths along a
        joined dimension, such as months, are refused in 2. "auto" makes them where inputs cannot
        be joined otherwise.
    inline_threshold : int
        Bytes of a variable in one input up to which it is joined and kept in the set itself.
    inline_budget : int
        Bytes of one variable that may be kept in the set in all.
    compare_budget : int
        Bytes of one variable of one input that may be read to compare it.
    batch : int, optional
        Inputs that are joined at a time; what comes of them is joined then. Without it all
        inputs are in memory together. Every batch has to be without holes.
    preprocess : callable, optional
        Called with every input's `ReferenceSet`; returns another.

    Raises
    ------
    ValueError
        If an option is none of its words.
    """

    concat: tuple[str, ...] | None = None
    coords: Mapping[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    order: str = "coordinate"
    monotonic: bool = True
    duplicates: str = "error"
    join: str = "exact"
    regular: tuple[str, ...] = ()
    attributes: str | Mapping[str, str] = "drop"
    static: str = "compare"
    times: str = "reencode"
    incompatible: str = "error"
    chunks: str | Mapping[str, int] | None = None
    mismatched: str = "error"
    zarr_format: str | int = "auto"
    inline_threshold: int = 1024
    inline_budget: int = 16 * 1024**2
    compare_budget: int = 256 * 1024**2
    batch: int | None = None
    preprocess: Callable[[ReferenceSet], ReferenceSet] | None = None

    def __post_init__(self) -> None:
        if self.times == "same":  # the word until 0.1
            object.__setattr__(self, "times", "keep")
        self._check_attributes()
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {words}")
        for name in _NAMES:
            value = getattr(self, name)
            if isinstance(value, str):
                value = (value,)
            object.__setattr__(self, name, None if value is None else tuple(value))
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch is {self.batch}, not a number of inputs")
        if isinstance(self.chunks, str) and self.chunks != "common":
            raise ValueError(f"chunks is {self.chunks!r}, not 'common' or sizes by dimension")

    def _check_attributes(self) -> None:
        chosen = {"*": self.attributes} if isinstance(self.attributes, str) else self.attributes
        for name, word in chosen.items():
            if word not in _ATTRIBUTES:
                raise ValueError(f"attributes is {word!r}, not one of {_ATTRIBUTES}")
            if name in PACKING:
                raise ValueError(
                    f"attributes names {name}, by which values are packed: no choice is right"
                )

    def policy(self, name: str) -> str:
        """Return what to do with an attribute that differs: "drop", "error" or "first"."""
        if isinstance(self.attributes, str):
            return self.attributes
        return self.attributes.get(name, self.attributes.get("*", "drop"))

    def settles(self, name: str) -> bool:
        """Tell whether it was said of this very attribute what to do."""
        return not isinstance(self.attributes, str) and name in self.attributes

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the inputs.

    Parameters
    ----------
    added, known : list of str
        Files that were added, and those that had been there.
    refs : ReferenceSet, optional
        The set as it is now; None for an Icechunk repository, which cannot be read back.
    """

    added: list[str]
    known: list[str]
    refs: ReferenceSet | None = None
