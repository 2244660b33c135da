"""One scanned file, repeated over all values of a pattern.

Chunks are found in two ways. ``ranges``: every file has its chunks at the same places as the one
that was scanned, which is so for files of one program without compression. ``file``: each file is
one chunk, from which the codec ``refmaker.file`` reads a variable; it also looks at every file's
type, shape and packing, and raises where they differ.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker._moved import former_keywords
from refmaker.errors import LimitError, MetadataError
from refmaker.io.source import local_path
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.report import Outcome, ScanReport
from refmaker.patterns import samples
from refmaker.patterns.samples import FileAssumptions
from refmaker.patterns.url_pattern import UrlPattern, parse_pattern
from refmaker.patterns.values import Values
from refmaker.patterns.whole_file import config_of
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["pattern"]

_SOURCES = ("auto", "ranges", "file")
_FORMER = {
    "like": "scanned_file",
    "layout": "chunk_source",
    "check": "check_files",
    "existing": "allow_missing",
    "shared": "identical_variables",
    "varying": "concat_variables",
}
"""Names until 0.1, which are still understood."""
_CHUNKS_LIMIT = 1 << 26


@former_keywords(_FORMER)
def pattern(  # noqa: PLR0913 - each is a choice of its own
    pattern: str,
    scanned_file: str | os.PathLike[str],
    values: Mapping[str, Any],
    storage_options: Mapping[str, Any] | None = None,
    *,
    chunk_source: str = "auto",
    check_files: int = 2,
    allow_missing: bool = False,
    identical_variables: Collection[str] = (),
    concat_variables: Collection[str] = (),
    format: str | None = None,  # noqa: A002 - the word users know
) -> ReferenceSet:
    """Make one reference set of many files from the pattern of their names and one of them.

    Parameters
    ----------
    pattern : str
        A path or URL with fields: ``{name:d}`` or ``{name:03d}`` for integers,
        ``{name:%Y%m%d}`` for dates, ``{name}`` for texts.
    scanned_file : str or os.PathLike
        The one file that is scanned.
    values : mapping of str to sequence
        The values of each field: integers, dates or texts. Each field becomes a dimension
        before those that variables have in the file, or takes the place of one of size 1 and
        the same name.
    storage_options : mapping, optional
        Passed to fsspec.
    chunk_source : {"auto", "ranges", "file"}
        "ranges" takes the chunks of every file to lie where they lie in `scanned_file`; "file"
        makes each file one chunk, from which the codec ``refmaker.file`` reads a variable. By
        default the former, if nothing is compressed, packed or counted from a date.
    check_files : int
        Files to compare with `scanned_file`.
    allow_missing : bool
        Look which files are there; chunks of the others are absent.
    identical_variables : collection of str
        More variables that are taken from `scanned_file`, besides the coordinates of dimensions.
    concat_variables : collection of str
        Coordinates of dimensions that each file has its own of.
    format : str, optional
        Name of the scanner to use.

    Returns
    -------
    ReferenceSet
        The cube.

    Raises
    ------
    MetadataError
        If pattern, values and file do not fit together, or a compared file differs.
    SourceError, UnknownFormatError, FormatError, UnsupportedError
        If `scanned_file` cannot be scanned, or no compared file is there.

    Examples
    --------
    >>> cube = refmaker.pattern(
    ...     "days/{day:%Y-%m-%d}.nc",
    ...     "days/2014-10-01.nc",
    ...     {"day": ["2014-10-01", "2014-10-02", "2014-10-03"]},
    ...     concat_variables=["time"],
    ... )
    >>> cube["air"].dimension_names, cube["air"].shape
    (('day', 'time', 'lat', 'lon'), (3, 4, 11, 21))
    """
    if chunk_source not in _SOURCES:
        raise ValueError(f"chunk_source is {chunk_source!r}, not one of {', '.join(_SOURCES)}")
    path = local_path(pattern)
    # In references, as everywhere, local files are named by absolute paths.
    parsed = parse_pattern(pattern if path is None else os.path.abspath(path))
    taken = _values(parsed, values)
    options = ScanOptions(inline_threshold=0, chunk_bytes=None)
    group, report = scan(scanned_file, storage_options, format=format, options=options)
    common, own = set(identical_variables), set(concat_variables)
    plan, lost = _plan(group, report, set(parsed.kinds), chunk_source, common, own)
    plan = replace(plan, options=options)
    urls = parsed.urls(taken)
    done = samples.check(plan, urls, check_files, storage_options) if check_files else []
    there = samples.existing(urls, storage_options) if allow_missing else np.ones(len(urls), bool)
    account = _report(parsed, plan, lost, report)
    account.sources.update(report.sources)
    if allow_missing and not bool(there.all()):
        account.warn(f"{int((~there).sum())} of {len(urls)} files are not there")
    if not done and check_files:
        account.warn("no file was compared with the one that was scanned")
    inlined, _ = scan(scanned_file, storage_options, format=plan.scanner)
    return ReferenceSet(_assemble(group, inlined, plan, taken, urls, there), account)


def _values(pattern: UrlPattern, values: Mapping[str, Any]) -> dict[str, Values]:
    kinds = pattern.kinds
    for name in values:
        if name not in kinds:
            raise MetadataError(f"the pattern has no field {name!r}", path=pattern.text)
    found = {}
    for name, kind in kinds.items():
        if name not in values:
            raise MetadataError(
                f"there are no values of the field {name!r}",
                path=pattern.text,
                hint=f"give them in `values={{{name!r}: ...}}`",
            )
        given = values[name]
        found[name] = given if isinstance(given, Values) else Values.of(name, kind, given)
        if found[name].kind != kind:
            raise MetadataError(f"{name!r} takes values of the kind {kind}", path=pattern.text)
    return found


def _plan(
    group: Group,
    report: ScanReport,
    fields: set[str],
    chunk_source: str,
    shared: set[str],
    varying: set[str],
) -> tuple[FileAssumptions, dict[str, str]]:
    """Decide what becomes of every variable; return the plan, and what is lost and why."""
    arrays = dict(group.arrays())
    for name in (shared | varying) - set(arrays):
        raise MetadataError(f"there is no variable {name!r}", url=report.url)
    own: dict[str, Array] = {}
    common: dict[str, Array] = {}
    for path, array in arrays.items():
        base = path.rpartition("/")[2]
        if base in fields and path not in varying:
            _check_replaced(path, array, report.url)
        elif path in varying or (path not in shared and not _is_coordinate(base, array, fields)):
            own[path] = array
        else:
            common[path] = array
    if not own:
        raise MetadataError("no variable differs from file to file", url=report.url)
    ranges = all(_fixed(array, report.url) for array in own.values()) and not any(
        array.codecs for array in common.values()
    )
    if chunk_source == "ranges" and not ranges:
        names = [path for path, array in own.items() if not _fixed(array, report.url)]
        raise MetadataError(
            "the chunks cannot be at the same places in every file: compressed, inlined or packed"
            f" are {', '.join(names) or 'shared variables'}",
            url=report.url,
            hint="take each file as one chunk: `chunk_source='file'`",
        )
    ranges = ranges and chunk_source != "file"
    lost = {} if ranges else {
        path: "texts of variable length are not read from whole files"
        for path, array in own.items() if array.dtype.hasobject
    }  # fmt: skip
    kept = {path: array for path, array in own.items() if path not in lost}
    return FileAssumptions(report.url, report.format, ScanOptions(), ranges, kept, common), lost


def _is_coordinate(base: str, array: Array, fields: set[str]) -> bool:
    """Whether a variable is the coordinate of a dimension of its own, the same in every file."""
    names = array.dimension_names
    return names is not None and names == (base,) and base not in fields


def _check_replaced(path: str, array: Array, url: str) -> None:
    if any(extent != 1 for extent in array.shape):
        raise MetadataError(
            f"its values would be replaced by those of the pattern, but it has {array.shape}",
            url=url,
            path=path,
            hint="give the field another name",
        )


def _fixed(array: Array, url: str) -> bool:
    """Whether the chunks of a variable are surely as long, and mean the same, in every file."""
    table = array.chunks
    packed = {"scale_factor", "add_offset"} & set(array.attributes)
    counted = " since " in str(array.attributes.get("units", ""))
    whole = not table.inlined and not table.absent and set(table.urls) <= {url}
    return whole and not array.codecs and not packed and not counted


def _report(
    pattern: UrlPattern, plan: FileAssumptions, lost: Mapping[str, str], scanned: ScanReport
) -> ScanReport:
    report = ScanReport(pattern.text, plan.scanner)
    for row in scanned.rows:
        if row.path.strip("/") in lost:
            reason = lost[row.path.strip("/")]
            report.add(row.path, Outcome.SKIPPED, reason, "pattern-vlen")
        else:
            report.add(row.path, row.outcome, row.reason, row.code)
    for warning in scanned.warnings:
        report.warn(warning)
    if plan.ranges:
        report.warn("every file is taken to have its chunks where the scanned file has them")
    return report


def _assemble(
    group: Group,
    inlined: Group,
    plan: FileAssumptions,
    values: Mapping[str, Values],
    urls: Sequence[str],
    there: NDArray[np.bool_],
) -> Group:
    """Build the cube's groups from the deepest up."""
    done: dict[str, Array | Group] = {}
    for path, node in reversed(list(group.walk())):
        if isinstance(node, Group):
            prefix = f"{path}/" if path else ""
            members: dict[str, Array | Group] = {}
            if not path:
                members |= {name: value.coordinate(name) for name, value in values.items()}
            members |= {n: done.pop(prefix + n) for n in node.members if prefix + n in done}
            done[path] = Group(members, node.attributes)
        elif path in plan.varying:
            done[path] = _repeated(path, node, plan, values, urls, there)
        elif path in plan.shared:
            # Small ones were kept by this scan: they need no file any more.
            done[path] = inlined[path]
    root = done[""]
    if not isinstance(root, Group):
        raise MetadataError("the scanned file is a single array", url=plan.scanned_file)
    return root


def _repeated(
    path: str,
    array: Array,
    plan: FileAssumptions,
    values: Mapping[str, Values],
    urls: Sequence[str],
    there: NDArray[np.bool_],
) -> Array:
    """Return a variable with the fields of the pattern as its first dimensions."""
    leaf = path.rpartition("/")[2]
    names = array.dimension_names or tuple(f"{leaf}_{i}" for i in range(len(array.shape)))
    kept = [axis for axis, name in enumerate(names) if name not in values]
    for axis in set(range(len(names))) - set(kept):
        if array.shape[axis] != 1:
            raise MetadataError(
                f"its dimension {names[axis]!r} is a field of the pattern, but has"
                f" {array.shape[axis]} elements in one file",
                path=path,
                hint="give the field another name",
            )
    sizes = tuple(len(value) for value in values.values())
    inner = array.chunk_shape if plan.ranges else tuple(max(1, n) for n in array.shape)
    shape = (*sizes, *(array.shape[axis] for axis in kept))
    chunks = (*(1 for _ in sizes), *(inner[axis] for axis in kept))
    grid = chunk_grid(shape, chunks)
    if plan.ranges:
        table, codec = _same_places(array.chunks, grid, urls, there), None
    else:
        number = np.flatnonzero(there) if 0 not in grid else np.empty(0, np.int64)
        zeros = np.zeros(number.size, np.uint64)
        named = tuple(urls) if number.size else ()
        table = ChunkTable.from_columns(
            grid, named, offset=zeros, length=zeros, index=number, url=number
        )
        codec = config_of(path, array, plan.scanner)
    return replace(
        array,
        shape=shape,
        chunk_shape=chunks,
        chunks=table,
        order=array.order if plan.ranges else "C",
        filters=() if codec is None else (codec,),
        compressor=None,
        dimension_names=(*values, *(names[axis] for axis in kept)),
    )


def _same_places(
    table: ChunkTable, grid: tuple[int, ...], urls: Sequence[str], there: NDArray[np.bool_]
) -> ChunkTable:
    files, rows = np.flatnonzero(there), table.referenced
    if files.size * rows > _CHUNKS_LIMIT:
        raise LimitError(f"{files.size * rows} chunks, at most {_CHUNKS_LIMIT} are held in memory")
    index = (files[:, None] * table.size + table.numbers().astype(np.int64)).reshape(-1)
    return ChunkTable.from_columns(
        grid,
        tuple(urls),
        offset=np.tile(table.offset, files.size),
        length=np.tile(table.length, files.size),
        index=index,
        url=np.repeat(files, rows),
    )
