"""Reference documents in the layouts that others write; opening one of them, as a whole process.

Run as ``python benchmarks/documents.py make LAYOUT COUNT PATH`` or ``... TOOL PATH``; an empty
PATH only imports what the tool needs.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

__all__ = ["LAYOUTS", "document"]

LAYOUTS = (
    "interleaved", "templates-last", "sorted", "indented", "version-0", "shuffled", "letters",
    "slashes",
)  # fmt: skip


def zarray(shape: list[int], separator: str = ".") -> str:
    """Return the metadata of an array with chunks of one value."""
    return json.dumps(
        {
            "zarr_format": 2, "shape": shape, "chunks": [1] * len(shape), "dtype": "<f4",
            "compressor": None, "filters": None, "fill_value": None, "order": "C",
            "dimension_separator": separator,
        }
    )  # fmt: skip


def document(layout: str, count: int) -> str:
    """Return the text of a document with some `count` references."""
    rng = random.Random(1)
    refs: dict[str, Any] = {".zgroup": '{"zarr_format":2}'}
    files = max(1, int((count / 2) ** 0.5))
    each = count // 2 // files
    separator = "/" if layout == "slashes" else "."
    for name in "ab":
        refs[f"{name}/.zarray"] = zarray([files, each], separator)
        refs[f"{name}/.zattrs"] = '{"_ARRAY_DIMENSIONS":["t","x"]}'
    for i in range(files):
        name = "".join(rng.choices("abcdefghijkl", k=9)) if layout == "letters" else f"{i:05d}"
        url = f"s3://bucket/some/long/prefix/of/files/granule_{name}.nc"
        for j in range(each):
            for array in "ab":
                place = [url, 20000 + rng.randrange(10**7), rng.randrange(1000, 90000)]
                refs[f"{array}/{i}{separator}{j}"] = place
    if layout == "shuffled":
        rows = list(refs.items())
        rng.shuffle(rows)
        refs = dict(rows)
    if layout == "version-0":
        return json.dumps(refs)
    if layout == "templates-last":
        return json.dumps({"refs": refs, "templates": {"u": "s3://bucket"}, "version": 1})
    indent = 1 if layout == "indented" else None
    whole = {"version": 1, "refs": refs}
    return json.dumps(whole, sort_keys=layout == "sorted", indent=indent)


def opened(tool: str, path: str) -> None:
    """Open a document, or read it as a whole."""
    if tool == "read":
        import refmaker
        import refmaker.storage.json_parser

        if path:
            refmaker.read(path)
        return
    import fsspec

    fsspec.get_filesystem_class(tool)
    if not path:
        return
    options = {"remote_protocol": "memory"} if tool == "reference" else {}
    fsspec.filesystem(tool, fo=path, **options)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        with open(sys.argv[4], "w") as file:
            file.write(document(sys.argv[2], int(sys.argv[3])))
    else:
        opened(*sys.argv[1:])
