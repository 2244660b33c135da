"""All links and objects of a file, each object opened once, whatever its names.

Links are listed group by group with their targets' addresses; HDF5's own visitors also ask
for every object's size, which walks the whole chunk index of every dataset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.prefetch import MetadataPrefetcher

if TYPE_CHECKING:
    from refmaker.io.source import Source

__all__ = ["Link", "ObjectType", "Objects", "walk"]

_SOFT_DEPTH = 16
_RESERVED = frozenset([".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json", ".", "..", ""])


class ObjectType(Enum):
    """What an address or link turned out to be."""

    GROUP = "group"
    DATASET = "dataset"
    DATATYPE = "datatype"
    UNREADABLE = "unreadable"


class Link(NamedTuple):
    """One name in a group.

    Parameters
    ----------
    name : str
        The name.
    address : int, optional
        Address of the object that a hard link names.
    target : str
        Path that a soft or external link names.
    file : str, optional
        File that an external link names.
    """

    name: str
    address: int | None = None
    target: str = ""
    file: str | None = None


@dataclass(slots=True)
class Objects:
    """What a walk found.

    Parameters
    ----------
    root : int
        Address of the root group.
    links : dict of int to list of Link
        The links of each group, by its address.
    kinds : dict of int to ObjectType
        Kind of each object, by address.
    ids : dict of int to object
        The open h5py identifier of each group and dataset.
    names : dict of int to str
        Path under which each object was met first.
    errors : dict of int to str
        Why objects could not be opened or listed.
    lost : dict of str to tuple
        Links that are left out, by path: why, and the code of that.
    """

    root: int
    links: dict[int, list[Link]] = field(default_factory=dict)
    kinds: dict[int, ObjectType] = field(default_factory=dict)
    ids: dict[int, Any] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    lost: dict[str, tuple[str, str]] = field(default_factory=dict)

    def resolve(self, path: str, group: int, depth: int = _SOFT_DEPTH) -> int | None:
        """Return the address that a path names, following soft links; None if it dangles.

        Parameters
        ----------
        path : str
            Absolute, or relative to the group.
        group : int
            Address of the group from which a relative path starts.
        depth : int
            Soft links that may still be followed.
        """
        at = self.root if path.startswith("/") else group
        for part in path.split("/"):
            if part in ("", "."):
                continue
            link = next((link for link in self.links.get(at, ()) if link.name == part), None)
            if link is None or link.file is not None or depth == 0:
                return None
            if link.address is not None:
                at = link.address
                continue
            found = self.resolve(link.target, at, depth - 1)
            if found is None:
                return None
            at = found
        return at

    def target(self, group: int, link: Link) -> int | None:
        """Return the address that a hard or soft link of a group leads to; None if nowhere."""
        return self.resolve(link.target, group) if link.address is None else link.address

    def groups(self) -> list[int]:
        """Return all groups in the order in which netCDF numbers dimensions: from below."""
        found, left = [], [self.root]
        while left:
            group = left.pop()
            found.append(group)
            home = self.names[group].rstrip("/")
            left.extend(
                link.address
                for link in self.links.get(group, ())
                if link.address is not None
                and self.kinds[link.address] is ObjectType.GROUP
                and self.names[link.address] == f"{home}/{link.name}"
            )
        return found[::-1]


def walk(file: h5py.File, source: Source) -> Objects:
    """Open every object that hard links lead to, level by level.

    Parameters
    ----------
    source : Source
        The same file; it is told ahead which headers are about to be read.

    Raises
    ------
    FormatError
        If the root group cannot be opened.
    """
    try:
        root = h5py.h5g.open(file.id, b"/")
        address = address_of(root)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise FormatError(f"its root group cannot be opened: {error}") from error
    found = Objects(
        address, kinds={address: ObjectType.GROUP}, ids={address: root}, names={address: "/"}
    )
    ahead = MetadataPrefetcher(source)
    ahead.fetch([address])
    level = [address]
    while level:
        new: list[tuple[int, int, bytes]] = []
        for group in level:
            new.extend(_list(found, group))
        ahead.fetch(child for _, child, _ in new)
        level = [child for group, child, name in new if _open(found, group, child, name)]
    return found


def address_of(identifier: Any) -> int:
    """Return the address of an object's header, without touching its data's index."""
    return int(h5py.h5g.get_objinfo(identifier).objno[0])


def _list(found: Objects, group: int) -> list[tuple[int, int, bytes]]:
    """List a group's links; returns (group, address, name) of objects not met before."""
    raw: list[tuple[bytes, int, int]] = []
    identifier, path = found.ids[group], found.names[group]
    order = h5py.h5.INDEX_NAME
    links = found.links.setdefault(group, [])
    try:
        if not identifier.get_num_objs():
            # Most groups of files with very many are empty; what follows costs more.
            return []
        tracked = identifier.get_create_plist().get_link_creation_order()
        if tracked & h5py.h5p.CRT_ORDER_TRACKED:
            order = h5py.h5.INDEX_CRT_ORDER
        # h5py fills one and the same info object for every link.
        identifier.links.iterate(
            lambda name, info: raw.append((name, info.type, int(info.u))),
            idx_type=order,
            info=True,
        )
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        found.errors[group] = f"its links cannot be listed: {error}"
    new = []
    for name, kind, address in raw:
        text = _text(name)
        below = f"{path.rstrip('/')}/{text}"
        # Readers of Zarr take a backslash for a slash.
        if text in _RESERVED or "/" in text or "\\" in text:
            found.lost[below] = f"{text!r} cannot be the name of an array or group", "name"
            if kind == h5py.h5l.TYPE_HARD:
                # References to it are told by its name all the same.
                found.names.setdefault(address, below)
            continue
        try:
            link = _link(identifier, name, text, kind, address)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            found.lost[below] = f"the link cannot be read: {error}", "unreadable"
            continue
        if link is None:
            found.lost[below] = f"a user-defined link of class {kind}", "user-link"
            continue
        links.append(link)
        if link.address is not None and link.address not in found.kinds:
            found.kinds[link.address] = ObjectType.UNREADABLE
            found.names[link.address] = below
            new.append((group, link.address, name))
    return new


def _link(group: Any, name: bytes, text: str, kind: int, address: int) -> Link | None:
    """Return a link; None if only its user knows where it leads."""
    if kind == h5py.h5l.TYPE_HARD:
        return Link(text, address=address)
    if kind == h5py.h5l.TYPE_SOFT:
        return Link(text, target=_text(group.links.get_val(name)))
    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, target = group.links.get_val(name)
        return Link(text, target=_text(target), file=_text(file))
    return None


def _open(found: Objects, group: int, address: int, name: bytes) -> bool:
    """Open an object; returns whether it is a group, whose links are to be listed next."""
    try:
        identifier = h5py.h5o.open(found.ids[group], name)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        found.errors[address] = str(error).strip("'\"")
        return False
    if isinstance(identifier, h5py.h5g.GroupID):
        found.kinds[address], found.ids[address] = ObjectType.GROUP, identifier
        return True
    if isinstance(identifier, h5py.h5d.DatasetID):
        found.kinds[address], found.ids[address] = ObjectType.DATASET, identifier
    else:
        found.kinds[address] = ObjectType.DATATYPE
    return False


def _text(name: bytes) -> str:
    """Decode a name: UTF-8 by the specification, Latin-1 in files that break it."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")
