"""What helps where inputs differ: options as Python spells them, and not those that were tried.

A hint is one or several remedies, separated by commas; each names its options between backticks.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from refmaker.combine.options import UNSETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refmaker.combine.options import CombineOptions
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = [
    "counting", "differing_static", "drop", "of_attribute", "of_placement", "of_size", "of_storage",
    "untried",
]  # fmt: skip

_UNEVEN = "write Zarr version 3 with chunks of different lengths (`zarr_format=3`)"
_PIECES = "write Zarr version 3 in which each input keeps its packing (`zarr_format=3`)"
_MARKED = re.compile(r"`([a-z_]+)=([^`]*)`")
_PART = re.compile(r"(?:`[^`]*`|[^,`])+")


def untried(hint: str, options: CombineOptions) -> list[str]:
    """Return the remedies of a hint, but for those whose options are in force already."""
    parts = (part.strip().removeprefix("or ") for part in _PART.findall(hint))
    return [part for part in parts if part and not _tried(part, options)]


def _tried(remedy: str, options: CombineOptions) -> bool:
    marks = _MARKED.findall(remedy)
    return bool(marks) and all(_in_force(name, text, options) for name, text in marks)


def _in_force(name: str, text: str, options: CombineOptions) -> bool:
    try:
        value = ast.literal_eval(text)
        given = getattr(options, name)
    except (AttributeError, SyntaxError, ValueError):
        return False
    if isinstance(value, dict):
        return hasattr(given, "keys") and all(
            key in given and given[key] == one for key, one in value.items()
        )
    if isinstance(given, tuple):
        wanted = value if isinstance(value, list | tuple) else [value]
        return all(one in given for one in wanted)
    return bool(given == value)


def drop(*paths: str) -> str:
    """Return the last remedy: to leave variables out."""
    if len(paths) > 1:
        return f"leave them out (`drop={list(paths)!r}`)"
    return f"leave it out (`drop={paths[0]!r}`)"


def of_attribute(name: str, path: str, options: CombineOptions, *, timed: bool) -> str:
    """Return what helps where an attribute differs.

    Parameters
    ----------
    timed : bool
        Whether the variable holds times.
    """
    if timed and name in ("units", "calendar"):
        again = "write all times in the same units (`times='reencode'`), "
        return f"{again if options.times == 'keep' else ''}{of_storage(path)}"
    if name in ("scale_factor", "add_offset"):
        possible = options.zarr_format == 2 and options.mismatched == "error"
        kept = f"{_PIECES}, " if possible else ""
        return f"{kept}{of_storage(path, inline=True)}"
    if name in UNSETTLED:
        return of_storage(path)
    return f"say which one counts (`combine_attrs={{{name!r}: 'first'}}`)"


def of_storage(path: str, *, inline: bool = False, cut: bool = False, uneven: bool = False) -> str:
    """Return what helps where inputs encode or pack a variable differently.

    Parameters
    ----------
    inline : bool
        Whether the values of single inputs might be encoded as the others' are.
    cut : bool
        Whether chunks can be cut, as nothing is compressed.
    uneven : bool
        Whether it is chunks of different lengths that Zarr version 2 cannot say.
    """
    found = [_UNEVEN] if uneven else []
    found += ["cut the chunks (`chunks='common'`)"] if cut else []
    found.append("split into groups (`incompatible='split'`)")
    if inline:
        found.append("keep the values of inputs that differ in the set (`mismatched='inline'`)")
    return ", ".join([*found, drop(path)])


def of_placement(path: str, *, cut: bool, uneven: bool = True) -> str:
    """Return what helps where chunks of inputs are none of the cube's.

    Parameters
    ----------
    cut, uneven : bool
        Whether chunks can be cut, as nothing is compressed, and whether Zarr version 3 would
        have them as they are.
    """
    found = [_UNEVEN] if uneven else []
    found += ["cut the chunks (`chunks='common'`)"] if cut else []
    return ", ".join([*found, drop(path)])


def of_size(path: str, name: str, *, labelled: bool, alone: bool) -> str:
    """Return what helps where inputs differ in the size of a dimension.

    Parameters
    ----------
    labelled : bool
        Whether it has a coordinate.
    alone : bool
        Whether inputs are joined along no other dimension.
    """
    found = [f"join along it (`concat={name!r}`)"] if labelled or alone else []
    if labelled:
        found.append("make the union of grids (`join='outer'`)")
    return ", ".join([*found, drop(path)])


def counting(name: str) -> str:
    """Return the remedy that takes the place of a selector which gives nothing."""
    return f"count the inputs (`coords={{{name!r}: 'index'}}`)"


def differing_static(
    path: str,
    array: Array,
    siblings: Iterable[tuple[str, Sequence[Item]]],
    *,
    joined: bool,
    lacking: bool,
) -> str:
    """Return what helps where a variable differs, and no joined dimension tells inputs apart.

    Parameters
    ----------
    array : Array
        It, in the first input.
    siblings : iterable of (str, sequence of (int, Array))
        The variables beside it: one of them may tell the inputs apart.
    joined, lacking : bool
        Whether inputs are joined along any dimension, and whether along one that the variable
        could have, as each input has one place there.
    """
    leaf = path.rpartition("/")[2]
    names = array.dimension_names or ()
    found: list[str] = []
    vary = "let what differs have the dimension"
    if names == (leaf,) and array.shape == (1,) and lacking:
        found.append(f"{vary} instead of its own (`squeeze={leaf!r}` and `compat='vary'`)")
    if names == (leaf,):
        found.append("make the union of grids (`join='outer'`)")
    elif lacking:
        found.append(f"{vary} (`compat='vary'`)")
    known = dict(siblings)
    if not joined:
        along = [name for name, items in known.items() if _tells(items)]
        along = along or [name for name in names[:1] if name not in known]
        found += [f"join along it (`concat={name!r}`)" for name in along[:1]]
        found.append(counting("input"))
    return ", ".join([*found, drop(path)])


def _tells(items: Sequence[Item]) -> bool:
    """Whether a scalar looks like the coordinate of its file."""
    arrays = [array for _, array in items]
    return all(array.shape == () for array in arrays) and any(
        " since " in str(array.attributes.get("units"))
        or array.attributes.get("standard_name") == "time"
        for array in arrays
    )
