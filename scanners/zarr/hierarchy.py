"""Groups and arrays of a store, by its metadata documents: consolidated, or each member's own.

Implements the hierarchies of the Zarr storage specification, version 2, with ``.zmetadata``, and of
the Zarr core specification, version 3, with ``consolidated_metadata`` in the root's ``zarr.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import (
    FormatError,
    MetadataError,
    MissingTargetError,
    RefmakerError,
    UnsupportedError,
)
from refmaker.io.many_files import FileRange
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.key_store import read_documents
from refmaker.storage.json_windows import DamagedTextError, loads, nesting
from refmaker.storage.limits import DEFAULT
from refmaker.storage.tree import check_path, strict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.scanning.key_store import KeyStore

__all__ = ["Node", "read_hierarchy"]

_V2 = (".zarray", ".zattrs", ".zgroup")
_V3 = "zarr.json"
_CONSOLIDATED = ".zmetadata"
_UNSURE = 64
"""Objects that are named one by one where consolidated metadata lack them."""


class Node(NamedTuple):
    """A group or an array of a store.

    Parameters
    ----------
    path : str
        Its path; that of the root is empty.
    version : {2, 3}
        The format of its documents.
    documents : dict
        Contents by name: ``.zarray``, ``.zgroup`` and ``.zattrs``, or ``zarr.json``.
    """

    path: str
    version: int
    documents: dict[str, dict[str, Any]]

    @property
    def is_array(self) -> bool:
        """Whether it is an array."""
        if self.version == 2:
            return ".zarray" in self.documents
        return self.documents[_V3].get("node_type") == "array"

    @property
    def document(self) -> dict[str, Any]:
        """The one that says most."""
        return self.documents[_V3] if self.version == 3 else self.documents.get(".zarray", {})

    @property
    def attributes(self) -> Any:
        """Its attributes."""
        if self.version == 3:
            return self.documents[_V3].get("attributes", {})
        return self.documents.get(".zattrs", {})


def read_hierarchy(
    store: KeyStore, root: tuple[str, bytes], report: ScanReport, *, consolidated: bool
) -> dict[str, Node]:
    """Return the nodes of a store by path, the root among them.

    A document that cannot be read costs its own node, which gets a row.

    Parameters
    ----------
    store : KeyStore
        The store.
    root : tuple of str and bytes
        Name and content of the document at the root.
    report : ScanReport
        Gets a row for what cannot be read, and for what is not in the consolidated metadata.
    consolidated : bool
        Whether consolidated metadata count, where there are some.

    Raises
    ------
    FormatError
        If the root's document is damaged.
    UnsupportedError
        If the members are not to be found: the store lists nothing, and nothing is consolidated.
    """
    name, data = root
    first = _parsed(name, data, report.url)
    version = 3 if name == _V3 else 2
    found = _consolidated(name, first, report) if consolidated else None
    if store.listing is None:
        nodes = found if found is not None else _alone(store, name, first, report.url)
    elif found is not None:
        nodes = found
        _compare(nodes, _members(store, version, ScanReport(report.url)), report)
    else:
        nodes = _members(store, version, report)
    if version == 3 and _V3 not in nodes.setdefault("", Node("", 3, {})).documents:
        nodes[""].documents[_V3] = first
    return _outside_arrays(nodes, report)


def _parsed(key: str, data: bytes, url: str) -> dict[str, Any]:
    """Return a metadata document."""
    if nesting(data) > DEFAULT.nesting:
        raise FormatError(f"values nested more than {DEFAULT.nesting} deep", url=url, path=key)
    try:
        found = loads(data)
    except DamagedTextError as error:
        raise FormatError(f"not JSON: {error}", url=url, path=key) from error
    if not isinstance(found, dict):
        raise FormatError("a metadata document that is no JSON object", url=url, path=key)
    expected = {_V3: ("zarr_format", 3), _CONSOLIDATED: ("zarr_consolidated_format", 1)}
    member, value = expected.get(key.rpartition("/")[2], ("zarr_format", 2))
    if "record_size" in found and member == "zarr_consolidated_format":
        raise FormatError("the metadata of references as Parquet, which are a set", url=url)
    if not key.endswith(".zattrs") and found.get(member) != value:
        what = f"{member} is {found.get(member)!r}, expected {value}"
        raise FormatError(what, url=url, path=key)
    return found


def _consolidated(
    name: str, first: Mapping[str, Any], report: ScanReport
) -> dict[str, Node] | None:
    """Return the nodes that consolidated metadata name; None if there are none."""
    if name == _CONSOLIDATED:
        pairs = first.get("metadata")
        if not isinstance(pairs, dict):
            raise FormatError("consolidated metadata without 'metadata'", url=report.url, path=name)
        return _nodes(2, pairs.items(), report)
    inner = first.get("consolidated_metadata") if name == _V3 else None
    if not isinstance(inner, dict):
        return None
    pairs = inner.get("metadata")
    if inner.get("kind", "inline") != "inline" or not isinstance(pairs, dict):
        report.warn("the consolidated metadata are of a kind that is not known: not taken")
        return None
    own = {key: value for key, value in first.items() if key != "consolidated_metadata"}
    named = ((f"{path}/{_V3}" if path else _V3, document) for path, document in pairs.items())
    return _nodes(3, [(_V3, own), *named], report)


def _alone(store: KeyStore, name: str, first: dict[str, Any], url: str) -> dict[str, Node]:
    """Return the one array of a store that lists nothing."""
    node = Node("", 3 if name == _V3 else 2, {name: first})
    if not node.is_array:
        raise UnsupportedError(
            "the store cannot list its members, and has no consolidated metadata",
            code="zarr-listing",
            url=url,
            hint="consolidate its metadata, with zarr.consolidate_metadata(store)",
        )
    if node.version == 2:
        (data,) = store.read([FileRange(store.url(".zattrs"))])
        if isinstance(data, bytes):
            node.documents[".zattrs"] = _parsed(".zattrs", data, url)
        elif not isinstance(data, MissingTargetError | FileNotFoundError):
            raise data
    return {"": node}


def _members(store: KeyStore, version: int, report: ScanReport) -> dict[str, Node]:
    """Return the nodes whose own documents are listed."""
    assert store.listing is not None  # noqa: S101 - looked at before
    names = store.listing.names
    ends = (_V3,) if version == 3 else _V2
    numbers = [number for number, name in enumerate(names) if name.endswith(ends)]
    numbers = [number for number in numbers if names[number].rpartition("/")[2] in ends]
    numbers.sort(key=names.__getitem__)
    pairs = zip(map(names.__getitem__, numbers), read_documents(store, numbers), strict=True)
    return _nodes(version, pairs, report)


def _nodes(version: int, pairs: Iterable[tuple[str, Any]], report: ScanReport) -> dict[str, Node]:
    """Return nodes of documents by key, parsed or not."""
    nodes: dict[str, Node] = {}
    refused: dict[str, str] = {}
    for key, value in pairs:
        path, _, name = key.rpartition("/")
        try:
            check_path(key, report.url)
            if isinstance(value, RefmakerError):
                raise value
            document = _parsed(key, value, report.url) if isinstance(value, bytes) else value
            if not isinstance(document, dict):
                raise FormatError("a metadata document that is no JSON object", path=key)
        except RefmakerError as error:
            if path == "":
                raise
            refused.setdefault(path, str(error))
            continue
        if name in _V2 or name == _V3:
            nodes.setdefault(path, Node(path, version, {})).documents[name] = document
    for path, reason in refused.items():
        nodes.pop(path, None)
        report.add(f"/{path}", Outcome.SKIPPED, reason, "zarr-document")
    if version == 2:
        # Attributes alone make nothing.
        return {p: n for p, n in nodes.items() if not p or set(n.documents) != {".zattrs"}}
    return nodes


def _compare(nodes: dict[str, Node], own: Mapping[str, Node], report: ScanReport) -> None:
    """Account for what the members' own documents say otherwise than the consolidated ones."""
    lacking = [path for path in own if path not in nodes]
    for path in lacking[:_UNSURE]:
        report.add(
            f"/{path}",
            Outcome.SKIPPED,
            "it is not in the consolidated metadata, which count: consolidate them anew, or scan "
            "with `settings={'zarr-metadata': 'members'}`",
            "zarr-unconsolidated",
        )
    if len(lacking) > _UNSURE:
        report.warn(f"{len(lacking)} groups and arrays are not in the consolidated metadata")
    for path, node in nodes.items():
        if path not in own and (node.version == 3 or node.documents):
            report.warn(f"/{path} is in the consolidated metadata, and has no document of its own")
        elif path in own and _told(own[path]) != _told(node):
            report.warn(f"/{path}: the consolidated metadata, which count, differ from its own")


def _told(node: Node) -> Any:
    """Return what is compared of a node: an empty ``.zattrs`` is as good as none."""
    if node.version == 3:
        document = node.documents[_V3]
        kept = {key: value for key, value in document.items() if key != "consolidated_metadata"}
        return strict(kept)
    return strict([node.documents.get(".zarray"), node.attributes or {}])


def _outside_arrays(nodes: dict[str, Node], report: ScanReport) -> dict[str, Node]:
    """Return the nodes that lie in no array; the others get a row."""
    arrays = {path for path, node in nodes.items() if node.is_array}
    kept = {}
    for path, node in nodes.items():
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            if parent in arrays and path:
                report.add(f"/{path}", Outcome.SKIPPED, "it lies in an array", "zarr-in-array")
                break
        else:
            kept[path] = node
    if not kept:
        raise MetadataError("there is no group and no array", url=report.url)
    return kept
