"""Keys of chunks in sets whose metadata are documents of Zarr version 3.

The keys ``path/c/0/12`` are those of an array ``path/c`` with slashes in version 2; arrays whose
documents ask for version 2's own keys have these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.model.zarr_v3_reader import chunk_grid_v3, key_encoding_v3
from refmaker.storage.reference_index import ChunkGrid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["all_documents", "grids_v3", "key_folder"]

_TOGETHER = "consolidated_metadata"


def all_documents(documents: Mapping[str, Any]) -> dict[str, Any]:
    """Return documents by path, with those that stand in one of the root group alone.

    Parameters
    ----------
    documents : mapping of str to dict
        By path; the root is ``""``.
    """
    root = documents.get("")
    together = root.get(_TOGETHER) if isinstance(root, dict) else None
    inner = together.get("metadata") if isinstance(together, dict) else None
    if not isinstance(inner, dict):
        return dict(documents)
    return {path: content for path, content in inner.items() if path} | dict(documents)


def key_folder(path: str, document: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what stands before the numbers in the keys of an array's chunks, and their separator.

    Returns
    -------
    folder : str
        The path up to the slash before the numbers; the whole key, of a scalar in version 3.
    slashes : bool
        Whether slashes join the numbers.

    Raises
    ------
    UnsupportedError
        If dots join numbers behind a ``c``.
    """
    prefix, separator = key_encoding_v3(document)
    if prefix and separator == ".":
        raise UnsupportedError(
            "chunks with keys such as 'c.0.1'", code="zarr3-keys", path=path or "/"
        )
    return f"{path}/{prefix}".strip("/") if prefix else path, separator == "/"


def grids_v3(documents: Mapping[str, Any]) -> Iterator[tuple[str, ChunkGrid]]:
    """Yield the chunk grids of arrays by what stands before their chunks' numbers.

    Documents that make no sense are passed over, as whoever reads their arrays will tell.

    Parameters
    ----------
    documents : mapping of str to dict
        By path.
    """
    for path, document in all_documents(documents).items():
        if not isinstance(document, dict) or document.get("node_type") != "array":
            continue
        try:
            folder, slashes = key_folder(path, document)
            grid = chunk_grid_v3(document)
        except RefmakerError:
            continue
        if grid or folder == path:
            yield folder, ChunkGrid(grid, slashes)
