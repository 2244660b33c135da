"""More inputs to an Icechunk repository: one commit, or none.

Of what is there only what is compared is read, whatever the version of icechunk: metadata,
coordinates, and variables that lack the joined dimensions. Chunks that are there stay untouched.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker._version import __version__
from refmaker.codecs import decoding
from refmaker.combine import times
from refmaker.combine.agreement import Findings
from refmaker.combine.batches import second_pass_options
from refmaker.combine.context import Context, Trees
from refmaker.combine.cube import combine_members
from refmaker.combine.members import Member
from refmaker.combine.options import Appended, CombineOptions
from refmaker.combine.values import inline_like, read_values
from refmaker.errors import LimitError, MetadataError, SourceChangedError, SourceError
from refmaker.model import Array, Group
from refmaker.model.amounts import counted
from refmaker.model.missing_values import FILL, missing_from_document
from refmaker.model.report import ScanReport
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v2 import dumps
from refmaker.model.zarr_v3 import CROP, array_document_v3, group_document_v3
from refmaker.model.zarr_v3_reader import array_from_document_v3
from refmaker.storage.icechunk import (
    HEADER,
    check_version,
    library,
    open_repository,
    put,
    put_chunks,
    virtual_file,
)
from refmaker.storage.icechunk_stores import location
from refmaker.storage.json_writer import header
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["append_icechunk"]

_STORED = ("data_type", "fill_value", "dimension_names")
_ANEW = "combine all inputs anew, to a new repository"
_TRIES = 20
"""Times that an append is made anew because somebody else has committed meanwhile."""


def append_icechunk(
    target: str | os.PathLike[str],
    found: Sequence[Member],
    options: CombineOptions,
    storage_options: Mapping[str, Any] | None,
) -> Appended:
    """Add inputs to a repository; see `refmaker.combine.append`.

    Parameters
    ----------
    found : sequence of Member
        The inputs. Those of whose file a chunk is there are passed over.
    storage_options : mapping, optional
        As for `refmaker.storage.icechunk.write`.

    Raises
    ------
    MetadataError
        If the inputs do not agree with one another or with what is there.
    UnsupportedError
        If a file lies where icechunk does not read.
    SourceChangedError
        If others commit again and again meanwhile.
    """
    icechunk = library()
    for _ in range(_TRIES):
        try:
            return _append_once(target, found, options, storage_options)
        except icechunk.ConflictError:
            # Somebody else was faster: what is there now is another repository.
            continue
        except icechunk.IcechunkError as error:
            raise SourceError(f"icechunk: {error}", url=os.fspath(target)) from error
    raise SourceChangedError(
        "others have changed the repository again and again meanwhile",
        url=os.fspath(target), hint="append again",
    )  # fmt: skip


def _append_once(
    target: str | os.PathLike[str],
    found: Sequence[Member],
    options: CombineOptions,
    storage_options: Mapping[str, Any] | None,
) -> Appended:
    """Add inputs to the repository as it is now; a commit in between is a conflict."""
    import zarr

    icechunk = library()
    options = replace(options, zarr_format="auto")
    name = os.fspath(target)
    repository = open_repository(target, storage_options)
    session = repository.writable_session("main")
    there = set(session.all_virtual_chunk_locations())
    fresh: list[Member] = []
    known: list[Member] = []
    for member in found:
        here = {location(url) for url in member.refs.report.sources}
        (known if here & there else fresh).append(member)
    if not fresh:
        return Appended([], [member.name for member in known])
    numbered = [replace(m, number=i) for i, m in enumerate(fresh)]
    new = combine_members(numbered, options, part=True)
    places = _uncovered(repository, there, new)
    if places:
        repository = open_repository(target, storage_options, places=places)
        session = repository.writable_session("main")
    root = zarr.open_group(session.store, mode="r", zarr_format=3)
    second = second_pass_options(options)
    dims = _joined(new.group, root, second)
    base = ReferenceSet(_group("", new.group, root, dims, options, name), ScanReport(name))
    both = [Member(i, refs, storage_options) for i, refs in enumerate((base, new))]
    cube = combine_members(both, second).group
    check_version(icechunk, cube)
    _check_stays(both, cube, dims, second, name)
    documents: dict[str, bytes] = {}
    files: dict[str, Any] = {}
    grown = {}
    for path, node in cube.walk():
        key = f"{path}/zarr.json" if path else "zarr.json"
        if isinstance(node, Group):
            documents[key] = dumps(group_document_v3(node)).encode()
        elif dims & set(node.dimension_names or ()):
            # What lacks the joined dimensions was compared, and stays as it is.
            documents[key] = dumps(array_document_v3(node)).encode()
            files |= {
                url: virtual_file(url, new.report.sources.get(url)) for url in node.chunks.urls
            }
            grown[path] = node.chunks
    put(session.store, documents)
    for path, table in grown.items():
        put_chunks(icechunk, session.store, path, table, files)
    if places:
        # Before the commit, so that nobody finds chunks that may not be read.
        repository.save_config()
    remembered = {HEADER: header(__version__, new.report)}
    session.commit(f"{counted(len(fresh), 'input')} appended by refmaker", remembered)
    return Appended([m.name for m in fresh], [m.name for m in known])


def _uncovered(repository: Any, there: Collection[str], new: ReferenceSet) -> list[str]:
    """Return the files that lie in none of a repository's virtual chunk containers.

    Those that are there, too: who appended them may have lost a race for the configuration.
    """
    prefixes = tuple(repository.config.virtual_chunk_containers or ())
    urls = dict.fromkeys(
        url for _, a in new.group.arrays() if a.chunks.referenced for url in a.chunks.urls
    )
    places = (*sorted(there), *map(location, urls))
    return [place for place in places if not place.startswith(prefixes)]


def _check_stays(
    both: Sequence[Member],
    cube: Group,
    dims: frozenset[str],
    options: CombineOptions,
    name: str,
) -> None:
    """Refuse inputs that come before what is there: its chunks keep their places."""
    found = Findings(both, options)
    trees = times.in_same_units(Trees.of(both, found), Context(both, options, found))
    for path, names in trees.arrays.items():
        for dim in dims & names.keys():
            inner = joined_path(path, dim)
            number, old = names[dim][0]
            if number != 0 or old.dimension_names != (dim,):
                continue
            made = cube[inner]
            there, now = _values(old), _values(made) if isinstance(made, Array) else None
            if now is None or not np.array_equal(now[: there.size], there):
                raise MetadataError(
                    "its coordinate in the inputs lies before or between what is there, whose"
                    " chunks keep their places",
                    url=name, path=inner,
                    hint="add them behind (`order='given'` and `monotonic=False`), or write a new"
                    " repository",
                )  # fmt: skip


def _joined(new: Group, root: Any, options: CombineOptions) -> frozenset[str]:
    """Return the dimensions to join along: those asked for, or whose coordinates differ."""
    if options.concat is not None:
        return frozenset(options.concat)
    found = set()
    for path, array in new.arrays():
        name = path.rpartition("/")[2]
        if array.dimension_names != (name,) or path not in root:
            continue
        old = np.asarray(root[path][...])
        if old.shape != array.shape or not _same(old, path, array, options):
            found.add(name)
    return frozenset(found)


def _same(old: Any, path: str, array: Array, options: CombineOptions) -> bool:
    """Whether a coordinate is that of the repository, by the tolerance that counts for it."""
    values = _values(array)
    near = options.tolerance_of(path, path.rpartition("/")[2])
    if near is None and " since " not in str(array.attributes.get("units")):
        near = options.common_tolerance
    if near and values.dtype.kind in "iuf":
        return bool(np.allclose(old, values, rtol=0, atol=near, equal_nan=True))
    return bool(np.array_equal(old, values))


def _values(array: Array) -> Any:
    (values,) = read_values([(Member(0, ReferenceSet(Group())), "", array)])
    return values


def _group(
    path: str, new: Group, old: Any, dims: frozenset[str], options: CombineOptions, name: str
) -> Group:
    """Return what is there of a group, with no references at all."""
    members: dict[str, Array | Group] = {}
    for key in old.keys():  # noqa: SIM118 - a group of Zarr, no mapping
        inner = joined_path(path, key)
        node = new.members.get(key)
        if node is None:
            raise MetadataError("the inputs lack it", url=name, path=inner, hint=_ANEW)
        if isinstance(node, Group):
            members[key] = _group(inner, node, old[key], dims, options, name)
        else:
            members[key] = _array(inner, node, old[key], dims, options, name)
    return Group(members, dict(old.attrs))


def _array(
    path: str, new: Array, old: Any, dims: frozenset[str], options: CombineOptions, name: str
) -> Array:
    """Return what is there of an array: its values if they are kept there, else no chunk."""
    wanted = json.loads(dumps(array_document_v3(new)))
    plain = _document(old)
    attributes = dict(old.attrs)
    if new.fill_value is not None or FILL in new.attributes:
        # It is kept there as version 3 has it; what it says is compared with the fill value.
        attributes.pop(FILL, None)
        if FILL in new.attributes:
            attributes[FILL] = new.attributes[FILL]
    elif FILL in attributes:
        attributes[FILL] = missing_from_document(attributes[FILL], new.dtype)
    whole = not new.chunks.referenced or not dims & set(new.dimension_names or ())
    for field in _STORED if whole else (*_STORED, "codecs"):
        if _decoding(plain.get(field)) != _decoding(wanted.get(field)):
            raise MetadataError(
                f"its {field} is {wanted.get(field)!r}, but {plain.get(field)!r} in the repository",
                url=name,
                path=path,
                hint=_ANEW,
            )
    shape = tuple(int(n) for n in old.shape)
    if whole:
        if old.nbytes > options.compare_budget:
            raise LimitError(
                f"comparing it would read {old.nbytes} bytes", url=name, path=path,
                hint=f"raise the limit (`compare_budget={old.nbytes}`)",
            )  # fmt: skip
        values = np.asarray(old[...])
        like = replace(new, attributes=attributes)
        return inline_like(values, like, new.dimension_names or ())
    there = array_from_document_v3(plain)
    return replace(
        new,
        shape=shape,
        chunk_shape=there.chunk_shape,
        edges=there.edges,
        attributes=attributes,
        chunks=there.chunks,
    )


def _decoding(field: Any) -> Any:
    """Return a field of a document; of codecs, what decoding depends on.

    How chunks are cropped follows from their grid.
    """
    if not isinstance(field, list) or not all(isinstance(one, dict) for one in field):
        return field
    field = [one for one in field if one["name"] != CROP]
    return [
        one | {"configuration": decoding({"id": one["name"].rpartition(".")[2], **inner})}
        for one in field
        for inner in [one.get("configuration") or {}]
    ]


def _document(array: Any) -> dict[str, Any]:
    """Return an array's metadata as plain JSON."""
    buffers = array.metadata.to_buffer_dict(_prototype())
    document: dict[str, Any] = json.loads(buffers["zarr.json"].to_bytes())
    return document


def _prototype() -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype()
