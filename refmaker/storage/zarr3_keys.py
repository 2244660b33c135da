"""What sets whose metadata are documents of Zarr version 3 have of their own: keys, and a header.

The keys ``path/c/0/12`` are those of an array ``path/c`` with slashes in version 2; arrays whose
documents ask for version 2's own keys have these. What readers of version 2 hide of attributes,
version 3 shows; it stands in the member ``refmaker`` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.model.zarr_v3 import HIDDEN, hidden_attributes
from refmaker.model.zarr_v3_reader import chunk_grid_v3, key_encoding_v3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.model import Group

__all__ = ["all_documents", "grids_v3", "hidden", "key_folder", "with_hidden"]

_TOGETHER = "consolidated_metadata"
_MEMBER = "hidden"
"""Member of the header that holds attributes by path."""


def with_hidden(header: Mapping[str, Any] | None, group: Group) -> dict[str, Any]:
    """Return a header with the attributes that documents of version 3 leave out."""
    found = hidden_attributes(group)
    return {**(header or {}), **({_MEMBER: found} if found else {})}


def hidden(header: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the attributes of a group or array that its document leaves out.

    Parameters
    ----------
    header : mapping
        The member ``refmaker`` of a set.
    """
    known = header.get(_MEMBER)
    found = known.get(path) if isinstance(known, dict) else None
    kept = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in kept if name in HIDDEN}


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


def grids_v3(documents: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    """Yield what stands before an array's chunk numbers, the chunk grid, and if slashes join them.

    Documents that make no sense are passed over, as whoever reads their arrays will tell.
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
            yield folder, grid, slashes
