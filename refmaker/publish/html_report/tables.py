"""Tables of a page: what a format's scanner sums up, and what comparing came to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from refmaker.model.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Checks", "Table", "checks_table", "summary_table"]

_ROWS = 100
_COORDINATES = 24
_PLAIN = ("", "1", "0")
"""What is not worth a column, where it is the same in every row."""
_HIDDEN = frozenset({"path", "first_step", "last_step"})
_GOOD = frozenset({"equal", "empty", "given"})

Table = tuple[list[str], list[list[str]], int]
"""Heads, rows, and how many rows are left out."""
Checks = dict[str, Any]


def summary_table(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return what a format's scanner says of images, volumes or fields; None if nothing.

    Columns that say the same nothing in every row are left out.
    """
    if not rows:
        return None
    names = [name for name in rows[0] if name not in _HIDDEN]
    texts = [[_cell(row, name) for name in names] for row in rows]
    kept = [
        at for at, column in enumerate(zip(*texts, strict=True))
        if not (set(column) <= {column[0]} and column[0] in _PLAIN)
    ]  # fmt: skip
    heads = [names[at].replace("_", " ") for at in kept]
    cells = [[row[at] for at in kept] for row in texts]
    return heads, cells[:_ROWS], max(0, len(cells) - _ROWS)


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if name == "steps" and row.get("first_step") is not None:
        ends = sorted({row["first_step"], row["last_step"]})
        hours = " to ".join(f"{end:g}" for end in ends)
        return f"{value} ({hours} h)"
    if isinstance(value, list | tuple):
        return " x ".join(map(str, value))
    return str(value)


def coordinates_table(spans: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return from where to where coordinates go; None if the set knows of none."""
    rows = [
        [
            str(span["path"]),
            f"{span['size']:,}",
            _place(span["first"]),
            _place(span["last"]),
            "" if span["step"] is None else f"{span['step']:g} {span['step_units']}".strip(),
            str(span["units"]),
        ]
        for span in spans
        if span["size"] > 1
    ]
    heads = ["coordinate", "size", "first", "last", "step", "units"]
    return (heads, rows[:_COORDINATES], max(0, len(rows) - _COORDINATES)) if rows else None


def _place(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text.replace("T", " ") if text[:4].isdigit() else text


def volume_facts(volumes: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Return by the path of a volume where its axes go in the body."""
    found = {}
    for volume in volumes:
        if volume["towards"]:
            pairs = zip(volume["dimensions"], volume["towards"], strict=False)
            told = ", ".join(f"{name} to {side}" for name, side in pairs)
            found[volume["path"]] = [
                ("axes go", told + (" (oblique)" if volume["oblique"] else ""))
            ]
    return found


def checks_table(checks: Iterable[Mapping[str, Any]]) -> Checks:
    """Return what comparing came to, what is not equal first.

    Parameters
    ----------
    checks : iterable of mapping
        Records of arrays as ``verify --json`` prints them; others are passed over.
    """
    found = [check for check in checks if "verdict" in check and "path" in check]
    found.sort(key=lambda check: check["verdict"] in _GOOD)
    counts = Counter(str(check["verdict"]) for check in found)
    rows = [
        {
            "verdict": str(check["verdict"]),
            "good": check["verdict"] in _GOOD,
            "path": str(check["path"]),
            "compared": f"{check.get('compared', 0):,} of {check.get('chunks', 0):,}",
            "why": "; ".join(str(check[key]) for key in ("metadata", "reason") if check.get(key)),
        }
        for check in found[:_ROWS]
    ]
    return {
        "good": all(check["verdict"] in _GOOD for check in found),
        "counts": ", ".join(
            f"{counted(count, 'array')} {verdict}" for verdict, count in counts.most_common()
        ),
        "rows": rows,
        "more": max(0, len(found) - _ROWS),
    }
