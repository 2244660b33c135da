"""Lists of a GRIB file's messages, as their writers leave them beside it: text to columns.

Understood are the inventories of wgrib2 (NOAA's ``.idx``) and of wgrib, its forerunner for
edition 1, and the JSON lines of ECMWF (``.index``). What a line says of its field is taken apart
into what places the field (step, member) and the rest, its *key*: which octets a key stands for
only a file that was read can tell; see `refmaker.scanners.grib.taught_sections`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.scanners.grib.times import UNIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["FieldText", "IndexList", "field_texts", "listed_offsets", "read_list"]

_NUMBERED = re.compile(rb"(\d+)(?:\.\d+)?:(\d+):")
_HEAD = re.compile(
    r"^(\d{1,9})(?:\.(\d{1,4}))?:(\d{1,18}):d=(\d{8}|\d{10}):([^\n]*)$", re.MULTILINE
)
"""Number, number of the field in its message, offset, reference time, what the field is."""
_LEAD = re.compile(r"(?:(\d{1,9})-)?(\d{1,9}) (sec|min|hour|day) (?:(ave|acc|max|min) )?fcst")
_LEAD1 = re.compile(
    r"(\d{1,9})(min|hr|d) fcst|(valid )?(\d{1,9})-(\d{1,9})(min|hr|d)(?: (ave|acc|diff))?"
)
_SPAN = {"sec": 1, "min": 60, "hour": 3600, "hr": 3600, "day": 86400, "d": 86400}
_MEMBER = re.compile(r"ENS=([+-])(\d{1,9})")
_NUMBERS1 = ("kpds5", "kpds6", "kpds7", "TR", "P1", "P2", "TimeU")
_PLACING = frozenset({"_offset", "_length", "date", "time"})
"""Keys of ECMWF's lines that say nothing of the field but when and where."""
_STEP = re.compile(r"(?:(\d{1,9})-)?(\d{1,9})(m|h|)")
_LONG = 2**62


class IndexList(NamedTuple):
    """The lines of a list as columns.

    Parameters
    ----------
    kind : {"wgrib2", "wgrib", "ecmwf"}
        Who writes such lists; wgrib lists edition 1.
    texts : tuple
        By line: what it says of its field, without number, offset and reference time.
    offsets : ndarray of int64, shape (lines,)
        Where the message begins.
    lengths : ndarray of int64, shape (lines,)
        Bytes of the message; 0 where the list does not say: up to the next, or to the end.
    single : tuple of bool
        By line: whether its message has but one line.
    date : str
        The reference time of all lines, ``YYMMDDHH``, ``YYYYMMDDHH`` or ``YYYYMMDDHHMM``.
    problem : str
        Why this cannot be the list of every message; empty if it may be.
    """

    kind: str
    texts: tuple[Hashable, ...]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    single: tuple[bool, ...]
    date: str
    problem: str


class FieldText(NamedTuple):
    """What a line says of its field.

    Parameters
    ----------
    key : hashable or None
        Parameter, level, kind of time and whatever else the line says, with the number of its
        like in the list; None where it is not understood.
    start, end : int or None
        Forecast step in seconds, of an interval both ends; None where the line does not say.
    member : int or None
        Number of the member, without a sign.
    settled : bool
        Whether a member that has no number here is settled by the key: a control.
    """

    key: Hashable | None
    start: int | None
    end: int | None
    member: int | None
    settled: bool


_UNKNOWN = FieldText(None, None, None, None, settled=False)


def listed_offsets(data: bytes) -> list[int]:
    """Return where messages begin according to a list of any kind, ascending.

    Parameters
    ----------
    data : bytes
        Its content. What is no list, such as cfgrib's pickled index of the same ending, lists
        nothing.
    """
    lines = [line for line in data.split(b"\n") if line.strip()]
    found: set[int] = set()
    for line in lines:
        match = _NUMBERED.match(line)
        if match is not None:
            found.add(int(match[2]))
            continue
        row = _row(line)
        if row is None:
            return []
        found.add(row["_offset"])
    return sorted(found)


def _row(line: bytes) -> dict[str, Any] | None:
    """Return a line of ECMWF's, or None if it is none."""
    try:
        row = json.loads(line)
        offset, length = row["_offset"], row.get("_length", 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    whole = type(offset) is int and type(length) is int
    return row if whole and 0 <= offset < _LONG and 0 < length < _LONG else None


def read_list(data: bytes) -> IndexList | None:
    """Return the lines of a list; None for what is no list."""
    if data[:1] == b"{":
        return _ecmwf(data)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    matches = _HEAD.findall(text)
    if not matches or len(matches) < sum(map(bool, map(str.strip, text.split("\n")))):
        return None
    numbers, parts, offsets, dates, texts = zip(*matches, strict=True)
    where = np.array(list(map(int, offsets)), np.int64)
    single: tuple[bool, ...] = (True,) * len(where)
    if any(parts) or bool((where[1:] <= where[:-1]).any()):
        counts = Counter(where.tolist())
        lines = zip(parts, where.tolist(), strict=True)
        single = tuple(not part and counts[offset] == 1 for part, offset in lines)
    problem = _order(list(map(int, numbers)), parts, where)
    if len(set(dates)) > 1:
        problem = problem or "its lines are of several reference times"
    old = "NAve=" in texts[0] or ":kpds5=" in texts[0]
    kind = "wgrib" if old else "wgrib2"
    return IndexList(kind, _kept(texts), where, _distances(where), single, dates[0], problem)


@lru_cache(1024)
def _kept(texts: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Return equal texts as one object: those of a forecast hour are the same in all runs."""
    return texts


def _order(numbers: Sequence[int], parts: Sequence[str], offsets: NDArray[np.int64]) -> str:
    """Say why numbers and offsets are not those of all messages, one after the other."""
    if offsets[0] != 0:
        return f"its first message begins at byte {offsets[0]}"
    if numbers[0] != 1:
        return f"its first line has the number {numbers[0]}"
    if not any(parts) and list(numbers) == list(range(1, len(numbers) + 1)):
        # As a rule: a message each, one after the other.
        behind = np.flatnonzero(np.diff(offsets) <= 0)
        return f"line {behind[0] + 2} does not follow the one before" if len(behind) else ""
    rows = zip(numbers, parts, offsets.tolist(), strict=True)
    for (number, part, at), (following, sub, then) in pairwise(rows):
        same = following == number and then == at and int(sub or 0) == int(part or 0) + 1 > 1
        if not same and not (following == number + 1 and then > at and sub in ("", "1")):
            return f"line {following} at byte {then} does not follow line {number} at byte {at}"
    return ""


def _distances(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how far each message is from the next, 0 for the last."""
    places = np.unique(offsets)
    distance = np.append(np.diff(places), 0)
    return distance[np.searchsorted(places, offsets)]


def _ecmwf(data: bytes) -> IndexList | None:
    rows = [_row(line) for line in data.split(b"\n") if line.strip()]
    if None in rows:
        return None
    known = sorted(
        (row for row in rows if row is not None and "param" in row and "_length" in row),
        key=lambda row: row["_offset"],
    )
    if not known or len(known) < len(rows):
        return None
    offsets = np.array([row["_offset"] for row in known], np.int64)
    lengths = np.array([row["_length"] for row in known], np.int64)
    counts = Counter(offsets.tolist())
    dates = {f"{row.get('date')}{_clock(row.get('time'))}" for row in known}
    ends = np.append(0, (offsets + lengths)[:-1])
    problem = ""
    if bool((ends != offsets).any()):
        at = int(np.flatnonzero(ends != offsets)[0])
        problem = f"its messages do not follow one another at byte {offsets[at]}"
    elif len(dates) > 1 or not re.fullmatch(r"\d{12}", next(iter(dates))):
        problem = "its lines are not of one reference time"
    return IndexList(
        "ecmwf",
        _kept(
            tuple(
                tuple(sorted((name, str(row[name])) for name in row if name not in _PLACING))
                for row in known
            )
        ),
        offsets,
        lengths,
        tuple(counts[offset] == 1 for offset in offsets.tolist()),
        next(iter(dates)),
        problem,
    )


def _clock(time: Any) -> str:
    """Return hours and minutes, which come as number or text, as four digits."""
    digits = str(time)
    return digits.zfill(4) if digits.isascii() and digits.isdigit() else "?"


@lru_cache(1024)
def field_texts(kind: str, texts: tuple[Hashable, ...]) -> tuple[FieldText, ...]:
    """Return what each line of a list says.

    Parameters
    ----------
    kind, texts
        As in `IndexList`.
    """
    seen: Counter[Hashable] = Counter()
    found = []
    for text in texts:
        said = _SAID[kind](text)
        seen[text] += 1
        found.append(said if said.key is None else said._replace(key=(kind, said.key, seen[text])))
    return tuple(found)


@lru_cache(1 << 16)
def _said_by_wgrib2(text: str) -> FieldText:
    variable, level, lead, *more = (*text.rstrip("\r:").split(":"), "", "", "")
    rest = tuple(part for part in more if part)
    step = _step(lead)
    if step is None or not level:
        return _UNKNOWN
    member, settled, told = None, False, []
    for part in rest:
        match = _MEMBER.fullmatch(part)
        if match is not None:
            member = int(match[2])
            part = f"ENS={match[1]}"  # noqa: PLW2901 - the number is told apart
        elif part.startswith("ENS="):
            settled = True
        told.append(part)
    key = variable, level, step[2], tuple(told)
    return FieldText(key, step[0], step[1], member, settled)


def _step(lead: str) -> tuple[int, int, str] | None:
    """Return start and end of a step of wgrib2 in seconds, and its kind."""
    if lead == "anl":
        return 0, 0, "anl"
    match = _LEAD.fullmatch(lead)
    # What is over an interval has a statistic, what is at one time has none.
    if match is None or (match[1] is None) != (match[4] is None):
        return None
    end = int(match[2]) * _SPAN[match[3]]
    start = end if match[1] is None else int(match[1]) * _SPAN[match[3]]
    return start, end, match[4] or "fcst"


@lru_cache(1 << 16)
def _said_by_wgrib(text: str) -> FieldText:
    parts = [part for part in text.rstrip("\r:").split(":") if part]
    numbers = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals and name in _NUMBERS1 and value.isascii() and value.isdigit():
            numbers[name] = int(value)
    if numbers:
        return _said_in_numbers(parts, numbers)
    if len(parts) != 4 or not parts[3].startswith("NAve="):
        return _UNKNOWN
    variable, level, lead, average = parts
    if lead == "anl":
        return FieldText((variable, level, "anl", average), 0, 0, None, settled=False)
    match = _LEAD1.fullmatch(lead)
    if match is None or (match[4] and bool(match[3]) == bool(match[7])):
        return _UNKNOWN
    if match[1]:
        start = end = int(match[1]) * _SPAN[match[2]]
    else:
        start, end = (int(match[k]) * _SPAN[match[6]] for k in (4, 5))
    what = match[3] or match[7] or "fcst"
    return FieldText((variable, level, what, average), start, end, None, settled=False)


def _said_in_numbers(parts: list[str], numbers: dict[str, int]) -> FieldText:
    """Take the octets that wgrib tells: parameter, level, indicator, periods and their unit."""
    unit = UNIT_SECONDS[1].get(numbers.get("TimeU", -1))
    if len(numbers) < len(_NUMBERS1) or unit is None:
        return _UNKNOWN
    first, second = numbers["P1"] * unit, numbers["P2"] * unit
    indicator = numbers["TR"]
    if indicator in (2, 3, 4, 5):
        start, end = first, second
    elif indicator in (0, 1, 10):
        # Of indicator 10 wgrib tells both octets, the first of which counts 256.
        start = end = (numbers["P1"] << 8 | numbers["P2"]) * unit if indicator == 10 else first
    else:
        return _UNKNOWN
    averages = tuple(part for part in parts if part.startswith("NAve="))
    fixed = tuple(numbers[name] for name in ("kpds5", "kpds6", "kpds7", "TR", "TimeU"))
    return FieldText((parts[0], *fixed, averages), start, end, None, settled=False)


@lru_cache(1 << 16)
def _said_by_ecmwf(text: tuple[tuple[str, str], ...]) -> FieldText:
    row = dict(text)
    match = _STEP.fullmatch(row.pop("step", ""))
    number = row.pop("number", None)
    if match is None or not (number is None or (number.isascii() and number.isdigit())):
        return _UNKNOWN
    unit = 60 if match[3] == "m" else 3600
    start = None if match[1] is None else int(match[1]) * unit
    # The step is the end of an interval; where it begins the line need not say.
    return FieldText(
        tuple(row.items()),
        start,
        int(match[2]) * unit,
        None if number is None else int(number),
        settled=number is None and row.get("type") != "pf",
    )


_SAID: dict[str, Any] = {
    "wgrib2": _said_by_wgrib2, "wgrib": _said_by_wgrib, "ecmwf": _said_by_ecmwf,
}  # fmt: skip
