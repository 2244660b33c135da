"""Write docs/python.md, the reference of the Python interface, from signatures and docstrings.

Run ``python docs/scripts/python.py`` after a change of these; a test compares the page with the
package.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import refmaker
from refmaker import errors
from refmaker.publish import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "python.md"

HEAD = """\
# Python

What `import refmaker` gives. Heavy packages are imported by the function that needs them.
`refmaker.__version__` is the version as text. What the [commands](commands.md) do is done by
functions here.

<!-- runnable -->
```python
import refmaker
import xarray as xr

refs = refmaker.scan("examples/air.nc")
refs.write("air.refs.json")

ds = refmaker.open_dataset("air.refs.json")
same = xr.open_dataset("air.refs.json", engine="refmaker")
assert ds.identical(same)
```
"""

CHAPTERS: dict[str, tuple[str, ...]] = {
    "Scan": ("scan", "scan_many", "pattern", "formats", "ScanOptions", "Scanned", "Progress"),
    "Reference sets": ("ReferenceSet", "ScanReport", "read", "write"),
    "Join": ("combine", "append", "CombineOptions", "Appended"),
    "Open": ("open_dataset", "open_datatree", "open_group", "open_store"),
    "Check and look": (
        *("verify", "check_sources", "describe", "report", "ArrayCheck", "SourceCheck"),
    ),
    "Hand on": ("materialize", "serve", "serving", "Materialized"),
}
"""Every name of ``refmaker.__all__`` but the version, the errors and their base."""

_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for chapter, names in CHAPTERS.items():
        parts.append(f"## {chapter}\n")
        parts.extend(described(f"refmaker.{name}", getattr(refmaker, name)) for name in names)
    parts.append("## Catalogs\n")
    parts.extend(
        described(f"refmaker.catalog.{name}", getattr(catalog, name)) for name in catalog.__all__
    )
    parts.append("## Errors\n")
    tree = (errors.__doc__ or "").split("::\n\n", 1)[1]
    drawn, _, said = tree.partition("\n\n")
    parts.append(f"In `refmaker.errors`. {said.strip()}\n")
    parts.append(f"```text\n{inspect.cleandoc(drawn)}\n```\n")
    parts.append(described("refmaker.RefmakerError", refmaker.RefmakerError))
    return "\n".join(parts)


def described(name: str, thing: Any) -> str:
    """Return the entry of a function or class, with the public members of a class.

    Parameters
    ----------
    name : str
        Under which users import it.
    thing : function or class
        What it is.
    """
    parts = [f"### {name}\n", f"```text\n{signature(name, thing)}\n```\n", *documented(thing)]
    if inspect.isclass(thing):
        # Fields are among the parameters; what a class inherits is said of its base.
        fields = {field.name for field in dataclasses.fields(thing)} if _is_data(thing) else set()
        for member, value in vars(thing).items():
            if member.startswith("_") or member in fields:
                continue
            inner = getattr(value, "__func__", value)
            if inspect.isfunction(inner):
                parts += [f"#### {name}.{member}\n", f"```text\n{signature(member, inner)}\n```\n"]
                parts += documented(inner)
            elif isinstance(inner, property):
                parts += [f"#### {name}.{member}\n", *documented(inner)]
    return "\n".join(parts)


def signature(name: str, thing: Any) -> str:
    """Return how it is called, a parameter a line where one line is too short."""
    found = inspect.signature(thing)
    # Defaults that are made anew have no text that would be the same every time.
    given = [
        parameter.replace(default=...) if "factory" in repr(parameter.default) else parameter
        for parameter in found.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    found = found.replace(parameters=given)
    if inspect.isclass(thing):
        found = found.replace(return_annotation=inspect.Signature.empty)
    # Annotations are texts already, and would be quoted.
    text = f"{name}{found}"
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text).replace("= Ellipsis", "= ...")
    if len(text) <= 88:
        return text
    opened, _, rest = text.partition("(")
    inner, _, returned = rest.rpartition(")")
    return "\n".join([f"{opened}(", *(f"    {part}," for part in _split(inner)), f"){returned}"])


def _split(text: str) -> Iterator[str]:
    """Split at the commas that stand in no bracket."""
    depth, start = 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and not depth:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def documented(thing: Any) -> list[str]:
    """Return a numpydoc docstring as Markdown, a part for each section."""
    text = inspect.getdoc(thing) or ""
    pieces = _SECTION.split(text)
    parts = [_prose(pieces[0])]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if title == "Examples":
            shown = re.sub(r" *# doctest: .*", "", body.strip())
            parts.append(f"```text\n{shown}\n```\n")
        else:
            parts += [f"**{title}**\n", _fields(body) if title != "Notes" else _prose(body)]
    return parts


def _fields(body: str) -> str:
    lines = []
    for line in body.strip("\n").splitlines():
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            lines.append(f"- `{name}`" + (f": {_plain(kind)}" if kind else "") + "<br>")
        else:
            lines.append(_plain(line.rstrip()))
    return "\n".join(lines).replace("\n    ", "\n  ") + "\n"


def _prose(text: str) -> str:
    text = re.sub(r"::\n\n((?:    .*\n?|\n)+)", r":\n\n```text\n\1\n```\n", text.strip() + "\n")
    return _plain(text)


def _plain(text: str) -> str:
    return text.replace("``", "`").replace("|S", "\\|S")


def _is_data(thing: Any) -> bool:
    return dataclasses.is_dataclass(thing)


if __name__ == "__main__":
    PAGE.write_text(page())
