"""Makes the table of names: ``python -m refmaker.scanners.grib.concept_table``.

The definitions are read out of the installed library itself, which holds them as files in memory,
so that table and library are of one version.
"""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import re
import sys
from collections import defaultdict
from importlib.util import find_spec
from typing import Any

from refmaker.errors import MissingDependencyError
from refmaker.scanners.grib.concepts import PARAMETER_CONCEPTS

__all__ = ["main", "make", "read_definition"]

_ENTRY = re.compile(r"(?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\")\s*=\s*\{([^}]*)\}")
_CONDITION = re.compile(r"(\w+)\s*(?:=|is)\s*([^;]+?)\s*;")
_PARAMETER = {
    2: ("discipline", "parameterCategory", "parameterNumber"),
    1: ("table2Version", "indicatorOfParameter"),
}
_OTHER = {2: ("typeOfLevelConcept",), 1: ("typeOfLevel", "stepType")}


def _library() -> Any:
    package = find_spec("eccodeslib")
    if package is None or package.origin is None:
        raise MissingDependencyError(
            "the definitions are those that the wheel of ecCodes holds",
            hint="pip install eccodeslib",
        )
    folder = os.path.join(os.path.dirname(package.origin), "lib64")
    found = ctypes.CDLL(os.path.join(folder, "libeccodes_memfs.so"))
    found.codes_memfs_open.restype = ctypes.c_void_p
    found.codes_memfs_open.argtypes = [ctypes.c_char_p]
    return found


def read_definition(path: str) -> str | None:
    """Return the text of a file of definitions that the library holds.

    Parameters
    ----------
    path : str
        Below ``definitions``.
    """
    file = _library().codes_memfs_open(f"/MEMFS/definitions/{path}".encode())
    if not file:
        return None
    libc = ctypes.CDLL(None)
    libc.fread.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
    libc.fread.restype = ctypes.c_size_t
    parts, buffer = [], ctypes.create_string_buffer(1 << 16)
    while size := libc.fread(buffer, 1, len(buffer), file):
        parts.append(buffer.raw[:size])
    libc.fclose(ctypes.c_void_p(file))
    return b"".join(parts).decode()


def _entries(text: str, edition: int, *, parameters: bool) -> dict[str, list[list[Any]]]:
    """Return the entries of a concept by parameter, in their order."""
    found: dict[str, list[list[Any]]] = defaultdict(list)
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    for match in _ENTRY.finditer(text):
        conditions = dict(_CONDITION.findall(match[3]))
        name = ""
        if parameters:
            keys = _PARAMETER[edition]
            if any(key not in conditions for key in keys):
                continue
            name = ".".join(conditions.pop(key) for key in keys)
        row: list[Any] = [match[1] if match[1] is not None else match[2]]
        for key, value in conditions.items():
            number = re.fullmatch(r"-?\d+", value)
            row += [key, int(value) if number else value.strip("'\"")]
        found[name].append(row)
    return found


def make() -> dict[str, dict[str, Any]]:
    """Return the parts of the table by name, and what stands on the lines of each."""
    import eccodes

    table: dict[str, dict[str, Any]] = {"version": {"": eccodes.codes_get_api_version()}}
    centres = _codes("common/c-11.table")
    table["centres"] = centres
    table["centres1"] = _codes("common/c-1.table")
    table["dataTypes"] = _codes("grib2/tables/33/1.4.table")
    table["marsTypes"] = _codes("mars/type.table")
    for edition in (1, 2):
        for where in ("", *sorted({row[0] for row in centres.values()})):
            folder = f"grib{edition}/localConcepts/{where}/" if where else f"grib{edition}/"
            suffixes = (
                ("", ".lte33", ".legacy") if edition == 2 and where in ("", "ecmf") else ("",)
            )
            for concept in PARAMETER_CONCEPTS:
                for suffix in suffixes:
                    text = read_definition(f"{folder}{concept}{suffix}.def")
                    if text is not None:
                        name = f"{edition}/{where}/{concept}{suffix}"
                        table[name] = _grouped(_entries(text, edition, parameters=True))
            for concept in _OTHER[edition]:
                text = read_definition(f"{folder}{concept}.def")
                if text is not None:
                    name = f"{edition}/{where}/{concept}"
                    table[name] = _grouped(_entries(text, edition, parameters=False))
    return table


def _codes(path: str) -> dict[str, list[str]]:
    """Return abbreviation and meaning by number."""
    text = read_definition(path) or ""
    rows = [line.split(maxsplit=2) for line in text.splitlines() if line[:1].isdigit()]
    # What stands in brackets at the end is a unit for ecCodes.
    return {
        row[0]: [row[1], re.sub(r"\s*\([^()]*\)\s*$", "", row[2]) if len(row) > 2 else ""]
        for row in rows
        if len(row) > 1
    }


def _grouped(entries: dict[str, list[list[Any]]]) -> dict[str, Any]:
    """Return entries by all but the last number of the parameter, so that few are read for one."""
    found: dict[str, Any] = defaultdict(dict)
    for parameter, rows in entries.items():
        found[parameter.rpartition(".")[0]][parameter] = rows
    return found


def main(path: str) -> None:
    """Write the table: members of a gzip file, the first of which says where the others lie."""
    parts, places, stop = [], {}, 0
    for name, lines in make().items():
        text = "".join(f"{line}\t{_json(value)}\n" for line, value in lines.items())
        parts.append(gzip.compress(text.encode(), 9, mtime=0))
        places[name] = stop, stop + len(parts[-1])
        stop += len(parts[-1])
    with open(path, "wb") as file:
        head = f"{_json(places)}\n".encode()
        file.write(gzip.compress(head, 9, mtime=0) + b"".join(parts))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    from refmaker.scanners.grib.concepts import _PATH

    main(sys.argv[1] if len(sys.argv) > 1 else _PATH)
