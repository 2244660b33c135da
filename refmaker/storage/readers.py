"""Who reads a reference set: what each reader of such sets does not understand, as data.

`READERS` is the table. Each line was found by running the reader, in the versions that
``docs/readers.md`` names; the tests run them again, on a set for each feature, and fail where a
reader does otherwise than the table says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model import Group
from refmaker.model.amounts import counted
from refmaker.model.missing_values import FILL, number_of, spelled
from refmaker.model.zarr_v2 import placed_codecs
from refmaker.storage.checksums import without_checksums
from refmaker.storage.formats import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from refmaker.model import Array
    from refmaker.storage.formats import StoredForm

__all__ = [
    "READERS", "Obstacle", "Reader", "Summary", "in_words", "made_for", "obstacles",
    "summary",
]  # fmt: skip

Summary = dict[str, dict[str, Any]]
"""How far each reader understands a set; see `summary`."""
_READS = ("all", "part", "none")

_DOUBLE = 12
"""Characters of a double in base64."""
_MOST = 20
"""Arrays that an error names."""
_LEFT_OUT = "leave out what it does not read (`drop=...`)"
_PARSER = f"{_LEFT_OUT}, or scan the files in VirtualiZarr, by refmaker.virtualizarr.Parser"
_DECODED = f"{_LEFT_OUT}, or serve its chunks raw (`decoded=True`)"
_PLAIN = "write it without templates (`templates='never'`)"
_JSON = "write it as JSON"
_VERSION_2 = "write Zarr version 2"


class Obstacle(NamedTuple):
    """Something that a reader does not understand.

    Parameters
    ----------
    path : str
        The array; empty if it is the form of the whole set.
    what : str
        In words.
    remedy : str
        What helps.
    whole : bool
        Whether the reader fails at the whole set for it, and not at this array alone.
    needed : bool
        Whether it matters: a scalar that names a projection is not to be read as an image.
    """

    path: str
    what: str
    remedy: str
    whole: bool = False
    needed: bool = True


class _Facts(NamedTuple):
    array: Array
    compressor: str
    filters: tuple[str, ...]


class _Whole(NamedTuple):
    stored: StoredForm
    urls: Sequence[str]
    groups: bool


class _Rule(NamedTuple):
    """Tells of an array what a reader does not understand; nothing if it does."""

    find: Callable[[_Facts], str]
    remedy: str = _LEFT_OUT
    whole: bool = False
    needed: bool = True


class _FormRule(NamedTuple):
    """Tells of a whole set what a reader does not understand in how it is stored."""

    find: Callable[[_Whole], str]
    remedy: str


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of reference sets.

    Parameters
    ----------
    title : str
        What people call it.
    version : str
        Which one was run.
    forms : tuple of str
        Forms of sets that it reads.
    form_rules, rules : tuple
        What it does not understand of those: of the whole set, of an array.
    checksums : bool
        Whether it decodes checksums; for one that does not they can be cut off.
    zarr3 : bool
        Whether it reads the metadata and codecs of sets in Zarr version 3.
    """

    title: str
    version: str
    forms: tuple[str, ...]
    form_rules: tuple[_FormRule, ...] = ()
    rules: tuple[_Rule, ...] = ()
    checksums: bool = True
    zarr3: bool = True


def _templates(whole: _Whole) -> str:
    return (
        "templates" if whole.stored.templates and whole.urls and whole.stored.form == "json" else ""
    )


def _relative(whole: _Whole) -> str:
    relative = whole.stored.relative or any(map(_is_relative, whole.urls))
    return "relative paths" if relative else ""


def _is_relative(url: str) -> bool:
    return "://" not in url and not url.startswith("/")


def _schemeless(whole: _Whole) -> str:
    bare = whole.stored.relative or any("://" not in url for url in whole.urls)
    return "paths without a scheme" if bare and whole.urls else ""


def _behind(*schemes: str) -> Callable[[_Whole], str]:
    """Tell of files behind other protocols than these, and local ones."""

    def find(whole: _Whole) -> str:
        for url in whole.urls:
            scheme = url.partition("://")[0] if "::" not in url else "::"
            if local_path(url) is None and scheme not in schemes:
                return f"files behind {scheme}"
        return ""

    return find


def _marked_names(whole: _Whole) -> str:
    marks = (mark for mark in "#?" if any(mark in url for url in whole.urls))
    return next((f"'{mark}' in names of files" for mark in marks), "")


def _parquet_groups(whole: _Whole) -> str:
    return "groups in Parquet" if whole.stored.form == "parquet" and whole.groups else ""


def _kinds(kinds: str, sizes: Mapping[str, int] | None = None) -> Callable[[_Facts], str]:
    """Tell of elements of other kinds than these of numpy's; of floats a least size."""

    def find(facts: _Facts) -> str:
        dtype = facts.array.dtype
        if dtype.kind in kinds and dtype.itemsize >= (sizes or {}).get(dtype.kind, 0):
            return ""
        return _WORDS.get(dtype.kind, str(dtype)) if dtype.names is None else "records"

    return find


_WORDS = {
    "S": "texts", "U": "texts", "O": "texts of variable length", "V": "raw bytes", "M": "dates",
    "m": "time differences", "c": "complex numbers",
}  # fmt: skip


def _codecs(compressors: str, filters: str = "") -> Callable[[_Facts], str]:
    known, known_filters = frozenset(compressors.split()) | {""}, frozenset(filters.split())

    def find(facts: _Facts) -> str:
        for name in facts.filters:
            if name not in known_filters:
                return f"the codec {name}" + (" as a filter" if name in known else "")
        return "" if facts.compressor in known else f"the codec {facts.compressor}"

    return find


def _other_codecs(facts: _Facts) -> str:
    """Tell of codecs that numcodecs has not."""
    for name in (*facts.filters, facts.compressor):
        if name.startswith("imagecodecs_") or "." in name:
            return f"the codec {name}"
    return ""


def _uneven(facts: _Facts) -> str:
    return "" if facts.array.edges is None else "chunks of different lengths"


def _scalar(facts: _Facts) -> str:
    return "" if facts.array.shape else "scalars"


def _empty(facts: _Facts) -> str:
    return "no elements" if 0 in facts.array.shape else ""


def _long(facts: _Facts) -> str:
    length = facts.array.chunks.length
    return "chunks of 4 GiB" if length.size and int(length.max()) >= 2**32 else ""


def _fortran(facts: _Facts) -> str:
    return "Fortran order" if facts.array.order == "F" and len(facts.array.shape) > 1 else ""


def _unfilled(facts: _Facts) -> str:
    array = facts.array
    unsaid = array.fill_value is None and array.dtype.kind == "f" and array.chunks.absent
    return "absent chunks without a fill value" if unsaid else ""


def _unfilled_texts(facts: _Facts) -> str:
    array = facts.array
    unsaid = array.fill_value is None and array.dtype.kind in "SU" and array.chunks.absent
    return "absent texts without a fill value" if unsaid else ""


def _complex_fill(facts: _Facts) -> str:
    filled = facts.array.dtype.kind == "c" and facts.array.fill_value is not None
    return "a complex fill value" if filled else ""


def _whole_files(facts: _Facts) -> str:
    table = facts.array.chunks
    whole = bool(((table.offset == 0) & (table.length == 0)).any())
    return "whole files of unknown size" if whole else ""


def _absent_scalar(facts: _Facts) -> str:
    return "an absent scalar" if not facts.array.shape and facts.array.chunks.absent else ""


def _nameless(facts: _Facts) -> str:
    return "dimensions without names" if facts.array.dimension_names is None else ""


def _objects(facts: _Facts) -> str:
    return _WORDS["O"] if facts.array.dtype.kind == "O" else ""


def _nested(facts: _Facts) -> str:
    dtype = facts.array.dtype
    parts = [dtype[name] for name in dtype.names or ()]
    odd = any(part.names is not None or part.subdtype is not None for part in parts)
    return "records in records" if odd else ""


def _subarrays(facts: _Facts) -> str:
    dtype = facts.array.dtype
    odd = any(dtype[name].subdtype is not None for name in dtype.names or ())
    return "arrays in records" if odd else ""


def _odd_mark(facts: _Facts) -> str:
    """Tell of missing values that are spelled otherwise than xarray does in version 3."""
    if FILL not in facts.array.attributes:
        return ""
    value, kind = facts.array.attributes[FILL], facts.array.dtype.kind
    if kind == "f":
        fine = isinstance(value, str) and len(value) == _DOUBLE and number_of(value) != value
    else:
        fine = kind in "iu" and isinstance(value, int) and not isinstance(value, bool)
    return "" if fine else f"its {FILL}"


READERS: Mapping[str, Reader] = {
    "fsspec": Reader(
        "fsspec with zarr and xarray",
        "fsspec 2026.9, zarr 3.1 and 3.4",
        ("json", "parquet"),
        (_FormRule(_relative, "name files in full, or open it in the files' folder"),),
        (_Rule(_subarrays),),
    ),
    "gdal": Reader(
        "GDAL",
        "3.12",
        ("json",),
        (
            _FormRule(_templates, _PLAIN),
            _FormRule(_behind("s3", "gs", "http", "https"), "copy the files to where it reads"),
        ),
        (
            _Rule(_kinds("biufc")),
            _Rule(_codecs("zlib gzip zstd lzma blosc", "shuffle delta")),
            _Rule(_long, "scan it with smaller chunks (`chunk_bytes=...`)"),
            _Rule(_complex_fill),
            _Rule(_empty, needed=False),
            _Rule(_scalar, needed=False),
        ),
        checksums=False,
        zarr3=False,
    ),
    "virtualizarr": Reader(
        "VirtualiZarr",
        "2.8",
        ("json", "parquet"),
        (
            _FormRule(_templates, _PLAIN),
            _FormRule(_relative, "name files in full"),
            _FormRule(_marked_names, "rename the files"),
            _FormRule(_parquet_groups, _JSON),
        ),
        (
            _Rule(_uneven, _LEFT_OUT, whole=True),
            _Rule(_objects, _PARSER, whole=True),
            _Rule(_nested, _LEFT_OUT, whole=True),
            _Rule(_other_codecs, _PARSER, whole=True),
            _Rule(_nameless, _PARSER, whole=True),
            _Rule(_odd_mark, _PARSER, whole=True),
            _Rule(_complex_fill, _PARSER, whole=True),
            _Rule(_absent_scalar, _LEFT_OUT, whole=True),
            _Rule(_fortran, _PARSER),
            _Rule(_unfilled, _PARSER),
        ),
    ),
    "zarrita": Reader(
        "zarrita",
        "0.7",
        ("json",),
        (_FormRule(_schemeless, "name files by URLs"),),
        (
            _Rule(_uneven),
            _Rule(_kinds("biufSUO", {"f": 4})),
            _Rule(_codecs("zlib gzip zstd blosc lz4", "zlib gzip zstd blosc lz4 shuffle delta"
                          " fixedscaleoffset vlen-utf8")),
            _Rule(_empty),
            _Rule(_unfilled_texts),
            _Rule(_whole_files),
        ),
    ),
    "tensorstore": Reader(
        "TensorStore through serve",
        "0.1.86",
        ("json", "parquet", "compact"),
        (),
        (_Rule(_kinds("biufc")), _Rule(_codecs("zlib gzip zstd bz2 blosc"), _DECODED)),
        checksums=False,
        zarr3=False,
    ),
}  # fmt: skip
"""Readers by name, and what each does not understand."""


def obstacles(group: Group, stored: StoredForm, reader: str) -> list[Obstacle]:
    """Return what a reader does not understand of a set.

    Parameters
    ----------
    group : Group
        The root group, as `refmaker.storage.explicit` makes it.
    stored : StoredForm
        How it is stored, or is to be.
    reader : str
        One of `READERS`.

    """
    return _obstacles(group, _all_facts(group), stored, reader)


def _all_facts(group: Group) -> list[tuple[str, _Facts]]:
    return [(path, _facts(array)) for path, array in group.arrays()]


def _obstacles(
    group: Group, arrays: Sequence[tuple[str, _Facts]], stored: StoredForm, reader: str
) -> list[Obstacle]:
    known = READERS[reader]
    if stored.form not in known.forms:
        return [Obstacle("", f"the form {stored.form}", _JSON, whole=True)]
    if stored.zarr_format == 3 and not known.zarr3:
        return [Obstacle("", "Zarr version 3", _VERSION_2, whole=True)]
    urls = list(dict.fromkeys(url for _, facts in arrays for url in facts.array.chunks.urls))
    whole = _Whole(stored, urls, any(isinstance(one, Group) for one in group.members.values()))
    found = []
    for form_rule in known.form_rules:
        what = form_rule.find(whole)
        if what:
            found.append(Obstacle("", what, form_rule.remedy, whole=True))
    for path, facts in arrays:
        for rule in known.rules:
            what = rule.find(facts)
            if what:
                found.append(Obstacle(path, what, rule.remedy, rule.whole, rule.needed))
                break
    return found


def _facts(array: Array) -> _Facts:
    filters, compressor = placed_codecs(array)
    names = tuple(str(codec.get("id")) for codec in filters)
    return _Facts(spelled(array), str((compressor or {}).get("id", "")), names)


def made_for(group: Group, stored: StoredForm, reader: str, warn: Callable[[str], None]) -> Group:
    """Return a set as a reader understands all of it.

    Parameters
    ----------
    group, stored, reader
        As for `obstacles`.
    warn : callable
        Is told of checksums that were cut off, for readers that do not decode them.

    Raises
    ------
    UnsupportedError
        With every array that it would not read, and what helps; code ``reader``.
    ValueError
        If there is no such reader.
    """
    if reader not in TARGETS:
        raise ValueError(f"for_reader is {reader!r}, not one of {', '.join(TARGETS)}")
    known = READERS[reader]
    if not known.checksums:
        group, cut = without_checksums(group)
        for path in cut:
            warn(f"{path}: its checksums were left out, which {known.title} does not decode")
    found = [one for one in obstacles(group, stored, reader) if one.needed]
    if not found:
        return group
    hint = "; ".join(dict.fromkeys(one.remedy for one in found))
    if len(found) == 1 or not found[0].path:
        only = found[0]
        raise UnsupportedError(
            f"{known.title} does not read {only.what}",
            code="reader",
            path=only.path or None,
            hint=hint,
        )
    named = [f"{one.path} ({one.what})" for one in found[:_MOST]]
    named += [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
    raise UnsupportedError(
        f"{known.title} does not read {counted(len(found), 'array')}: {', '.join(named)}",
        code="reader",
        hint=hint,
    )


def summary(group: Group, stored: StoredForm) -> Summary:
    """Return how far each reader understands a set.

    Parameters
    ----------
    group, stored
        As for `obstacles`.

    Returns
    -------
    dict
        For each of `READERS` its ``title``; whether it ``reads`` all, part or none of the set;
        and in ``not`` what it does not understand.
    """
    told: Summary = {}
    arrays = _all_facts(group)
    for name, reader in READERS.items():
        found = _obstacles(group, arrays, stored, name)
        whole = list(dict.fromkeys(one.what for one in found if one.whole))
        part = list(dict.fromkeys(one.what for one in found if one.needed))
        reads = "none" if whole else "part" if part else "all"
        told[name] = {"title": reader.title, "reads": reads, "not": whole or part}
    return told


def in_words(summaries: Iterable[Summary]) -> str:
    """Return in a line who reads sets, and who does not for what reason.

    Parameters
    ----------
    summaries : iterable of dict
        Of one set, or of many that are told of together: the worst counts.
    """
    worst = dict.fromkeys(READERS, 0)
    reasons: dict[str, dict[str, None]] = {name: {} for name in READERS}
    for told in summaries:
        for name, entry in told.items():
            worst[name] = max(worst[name], _READS.index(entry["reads"]))
            reasons[name].update(dict.fromkeys(entry["not"]))
    parts = []
    for grade, words in enumerate(("read by", "in part by", "not by")):
        named = [
            READERS[name].title + (f" ({', '.join(reasons[name])})" if reasons[name] else "")
            for name, found in worst.items()
            if found == grade
        ]
        parts += [f"{words}: {', '.join(named)}"] if named else []
    return "; ".join(parts)
