"""The tools side by side: each scans a file into memory, then writes kerchunk JSON.

A tool is loaded only in the process that measures it. Where a peer has a choice, it is given
the one that is cheapest for it: kerchunk inlines nothing, VirtualiZarr loads no variable.
"""

from __future__ import annotations

import warnings
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOADERS", "PEERS", "Tool"]

PEERS = ("kerchunk", "virtualizarr")


class Tool(NamedTuple):
    """What a tool does, in the three steps that are looked at apart."""

    version: str
    scan: Callable[[str], Any]
    """From a path to the references in memory, whatever the tool's form of them is."""
    write: Callable[[Any, str], object]
    """From there to a JSON file."""
    count: Callable[[Any], int]
    """How many byte ranges and inlined chunks there are."""


def refmaker() -> Tool:
    import refmaker as package

    def count(found: package.ReferenceSet) -> int:
        return sum(array.chunks.present for _, array in found.group.arrays())

    return Tool(package.__version__, package.scan, package.ReferenceSet.write, count)


def kerchunk() -> Tool:
    import ujson
    from kerchunk import __version__
    from kerchunk.hdf import SingleHdf5ToZarr

    def scan(path: str) -> dict[str, Any]:
        found: dict[str, Any] = SingleHdf5ToZarr(path, inline_threshold=0).translate()
        return found

    def write(found: dict[str, Any], out: str) -> None:
        with open(out, "w") as file:
            ujson.dump(found, file)

    def count(found: dict[str, Any]) -> int:
        return sum(not key.rpartition("/")[2].startswith(".z") for key in found["refs"])

    return Tool(__version__, scan, write, count)


def virtualizarr() -> Tool:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr import __version__
    from virtualizarr.parsers import HDFParser

    warnings.simplefilter("ignore")

    def scan(path: str) -> Any:
        registry = ObjectStoreRegistry({"file://": LocalStore()})
        return HDFParser()(f"file://{path}", registry)

    def write(found: Any, out: str) -> None:
        dataset = found.to_virtual_dataset(loadable_variables=[])
        dataset.vz.to_kerchunk(out, format="json")

    def count(found: Any) -> int:
        # Flat files only: all arrays lie in the root group.
        arrays = found._group.arrays.values()  # noqa: SLF001 - nothing public tells it
        return sum(prod(array.manifest.shape_chunk_grid) for array in arrays)

    return Tool(__version__, scan, write, count)


LOADERS: dict[str, Callable[[], Tool]] = {
    "refmaker": refmaker,
    "kerchunk": kerchunk,
    "virtualizarr": virtualizarr,
}
