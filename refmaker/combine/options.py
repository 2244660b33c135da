"""What may be asked for when reference sets are combined.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from refmaker._moved import current_names, former_keywords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refmaker.model.report import ScanReport
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["PACKING", "UNSETTLED", "Appended", "CombineOptions", "unsettled"]

_WORDS = {
    "order": ("coordinate", "given"),
    "duplicates": ("error", "first", "last"),
    "join": ("exact", "outer"),
    "compat": ("compare", "first", "vary"),
    "times": ("reencode", "keep"),
    "incompatible": ("error", "split"),
    "mismatched": ("error", "inline"),
    "zarr_format": ("auto", 2, 3),
}
_ATTRIBUTES = ("drop", "error", "first")
PACKING = frozenset({"scale_factor", "add_offset", "_FillValue", "_Unsigned", "dtype"})
"""Attributes by which stored values become others."""
_COUNTED = frozenset({"calendar", "leap_month", "leap_year", "month_lengths"})
"""Attributes by which times are counted."""
_NAMES = ("concat", "identical_variables", "concat_variables", "squeeze", "regular", "drop")
UNSETTLED = PACKING | _COUNTED
"""Attributes of which no input's is right for the others."""
_FORMER = {
    "eras": "incompatible",
    "odd": "mismatched",
    "static": "compat",
    "attributes": "combine_attrs",
    "shared": "identical_variables",
    "varying": "concat_variables",
}
"""Names until 0.1, which are still understood."""

_Class = TypeVar("_Class", bound=type)


def unsettled(name: str) -> str:
    """Return why nobody can choose one input's value of an attribute for all of them."""
    what = "times are counted" if name in _COUNTED else "values are packed"
    return f"{what} by it, so that no choice is right"


def _with_former_names(cls: _Class) -> _Class:
    """Let a class be made with the former names of its fields, too."""
    type.__setattr__(cls, "__init__", former_keywords(_FORMER)(vars(cls)["__init__"]))
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
    identical_variables : sequence of str
        Variables that do not get a new dimension; they have to be the same in all inputs.
    concat_variables : sequence of str
        Coordinates and variables without the dimension that get it nevertheless.
    squeeze : sequence of str
        Dimensions of one element in every input that are left out; their coordinates become
        scalars, which may differ between inputs and then get a dimension by `concat_variables`.
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
    combine_attrs : {"drop", "error", "first"}, or mapping of str to these
        What to do with attributes that differ and say nothing about what values mean. By name,
        it counts for attributes that do, too, such as ``units`` and ``missing_value``, but not
        for those by which values are packed; ``"*"`` stands for all that are not named.
    compat : {"compare", "first", "vary"}
        Compare variables without the dimension, by value, or take the first input's unseen, or
        let those that differ have the dimension.
    tolerance : float, or mapping of str to float
        Absolute difference up to which coordinates are the same: all but times, with their
        boundaries, or by name. Values are those of the first input of the widest type.
    fill : mapping of str to number or str
        By variable, the value that stands for what is missing, where none is declared.
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

    Examples
    --------
    >>> options = refmaker.CombineOptions(concat="time", regular="time", fill={"air": -32768})
    >>> days = [refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 3)]
    >>> cube = refmaker.combine(days, options=options)
    >>> cube["air"].shape, cube["air"].chunks.referenced  # the second day is absent
    ((12, 11, 21), 2)
    """

    concat: tuple[str, ...] | None = None
    coords: Mapping[str, Any] = field(default_factory=dict)
    identical_variables: tuple[str, ...] = ()
    concat_variables: tuple[str, ...] = ()
    squeeze: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    order: str = "coordinate"
    monotonic: bool = True
    duplicates: str = "error"
    join: str = "exact"
    regular: tuple[str, ...] = ()
    combine_attrs: str | Mapping[str, str] = "drop"
    compat: str = "compare"
    tolerance: float | Mapping[str, float] = 0.0
    fill: Mapping[str, Any] = field(default_factory=dict)
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
        for distance in self._tolerances():
            if not 0 <= distance < math.inf:
                raise ValueError(f"tolerance is {distance!r}, not a distance")
        if isinstance(self.chunks, str) and self.chunks != "common":
            raise ValueError(f"chunks is {self.chunks!r}, not 'common' or sizes by dimension")

    def changed(self, **given: Any) -> CombineOptions:
        """Return the same options but for some, which may bear former names."""
        return replace(self, **current_names(_FORMER, given))

    def _check_attributes(self) -> None:
        chosen = (
            {"*": self.combine_attrs} if isinstance(self.combine_attrs, str) else self.combine_attrs
        )
        for name, word in chosen.items():
            if word not in _ATTRIBUTES:
                raise ValueError(f"combine_attrs is {word!r}, not one of {_ATTRIBUTES}")
            if name in UNSETTLED:
                raise ValueError(f"combine_attrs names {name}: {unsettled(name)}")

    def policy(self, name: str) -> str:
        """Return what to do with an attribute that differs: "drop", "error" or "first"."""
        if isinstance(self.combine_attrs, str):
            return self.combine_attrs
        return self.combine_attrs.get(name, self.combine_attrs.get("*", "drop"))

    def settles(self, name: str) -> bool:
        """Tell whether it was said of this very attribute what to do."""
        return not isinstance(self.combine_attrs, str) and name in self.combine_attrs

    @property
    def given(self) -> list[str]:
        """Names of the options that say how to join, and are not as usual."""
        usual, own = CombineOptions().as_dict(), self.as_dict()
        differ = (name for name in own if (own[name] or None) != (usual[name] or None))
        return [
            name
            for name in differ
            if not name.endswith(("budget", "threshold"))
            and not (name == "combine_attrs" and not own[name])
            and name != "batch"
        ]

    def _tolerances(self) -> list[float]:
        given = self.tolerance
        return [given] if isinstance(given, int | float) else list(given.values())

    def tolerance_of(self, *names: str) -> float | None:
        """Return the tolerance that was given for any of some names; None for none of its own."""
        if isinstance(self.tolerance, int | float):
            return None
        return next((self.tolerance[name] for name in names if name in self.tolerance), None)

    @property
    def common_tolerance(self) -> float:
        """The tolerance of coordinates that are not named."""
        if isinstance(self.tolerance, int | float):
            return float(self.tolerance)
        return float(self.tolerance.get("*", 0.0))

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
        The set as it is now; None where only parts of it were read: of an Icechunk repository, and
        of Parquet to which inputs were added by what is new.
    report : ScanReport, optional
        What is to be said of the set where `refs` is None; not of an Icechunk repository.

    Examples
    --------
    >>> first, second = (refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 2))
    >>> refmaker.combine([first], concat="time").write("cube.json")
    >>> done = refmaker.append("cube.json", [first, second], concat="time")
    >>> len(done.added), len(done.known)
    (1, 1)
    """

    added: list[str]
    known: list[str]
    refs: ReferenceSet | None = None
    report: ScanReport | None = None
