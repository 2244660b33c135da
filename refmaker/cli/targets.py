"""Where outputs go, and which files they must never replace."""

from __future__ import annotations

import os
import re
import string
from typing import TYPE_CHECKING, Any

import click

from refmaker.errors import RefmakerError, SourceError, SourceNotFoundError
from refmaker.io.archive_members import member_name
from refmaker.io.files import STANDARD, read_file
from refmaker.io.source import Source, local_path
from refmaker.io.stores import store_folder
from refmaker.storage.detect import is_reference_folder
from refmaker.storage.formats import COMPACT, format_of_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.io.inputs import Inputs

__all__ = ["DEFAULT_NAME", "check_folder", "check_free", "check_name", "is_single", "outputs"]

_DATA = {".nc", ".nc4", ".h5", ".hdf", ".hdf5", ".tif", ".tiff", ".grib", ".grib2", ".dcm"}
DEFAULT_NAME = "{stem}.refs.json"
_HEAD = 1 << 16
_BEGINNING = re.compile(
    rb"""\s*\{\s*"version"\s*:\s*1\s*,\s*
    (?:"templates"\s*:\s*\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\}\s*,\s*)?
    "refs"\s*:\s*\{\s*"(?:[^"\\]|\\.)*(?<=["/])(?:\.z(?:group|array|metadata)|zarr\.json)"\s*:""",
    re.VERBOSE,
)
"""How nearly all references begin: that much of a large file is enough to know it."""
FIELDS = {"stem", "name", "n", "parent"}


def is_single(inputs: Inputs, out: str | None) -> bool:
    """Tell whether one reference set is to be made of files that are many, or may be."""
    many = len(inputs.urls) > 1 or bool(inputs.searched)
    if out is None or not many:
        return False
    if out == STANDARD:
        return True
    name = out.rstrip("/").lower()
    one = name.endswith((".json", ".json.zst", ".json.gz")) or format_of_name(out) != "json"
    return one and not _is_folder(out)


def outputs(inputs: Sequence[str], out: str | None, name: str) -> list[str]:
    """Return the output of each input.

    Parameters
    ----------
    inputs : sequence of str
        Paths or URLs.
    out : str, optional
        A file or ``-`` for a single input, a folder for several; by default the current
        folder.
    name : str
        Template of a file's name in a folder: ``{stem}``, ``{name}``, ``{n}``, ``{parent}``; it
        may lie in folders below.

    Raises
    ------
    click.UsageError
        If two inputs would be written to one file, or an output is one of the inputs.
    """
    if len(inputs) == 1 and out is not None and not _is_folder(out):
        found = [out]
    elif out == STANDARD:
        raise click.UsageError("several inputs cannot be written to standard output")
    else:
        if out is not None and local_path(out) is not None and os.path.isfile(out):
            raise click.UsageError(f"{out} is a file; several inputs need a folder")
        found = [_join(out, _named(name, i, url)) for i, url in enumerate(inputs, 1)]
    _refuse_collisions(inputs, found)
    return found


def _is_folder(out: str) -> bool:
    if out.endswith("/"):
        return True
    # What ends in .parquet is a reference set, whether it is there already or not.
    return format_of_name(out) == "json" and local_path(out) is not None and os.path.isdir(out)


def _join(folder: str | None, name: str) -> str:
    if folder is None:
        return name
    return (
        os.path.join(folder, name)
        if local_path(folder) is not None
        else f"{folder.rstrip('/')}/{name}"
    )


def _named(template: str, number: int, url: str) -> str:
    """Return the output's file name for one input."""
    url = store_folder(url)
    member = member_name(url)
    if member is not None:
        # In a folder named like the archive.
        url = f"{os.path.splitext(member.archive)[0]}/{member.member}"
    path = url
    if local_path(url) is None:
        from urllib.parse import urlsplit

        path = urlsplit(url.rpartition("::")[2]).path
    base = os.path.basename(path.rstrip("/")) or "data"
    stem = os.path.splitext(base)[0]
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(template)} - {None}
        above = os.path.basename(os.path.dirname(_whole(path))) or "data"
        known = {"stem": stem, "name": base, "n": number, "parent": above}
        name = template.format(**known) if fields <= FIELDS else ""
    except (KeyError, ValueError, IndexError):
        name = ""
    if not name:
        raise click.BadParameter(
            f"{template!r} may hold {{stem}}, {{name}}, {{parent}} and {{n}} only",
            param_hint="--name-template",
        )
    parts = name.split("/")
    if os.path.isabs(name) or any(part in ("", ".", "..") for part in parts):
        raise click.BadParameter(
            f"{name!r} is not the name of a file", param_hint="--name-template"
        )
    return name


def _whole(path: str) -> str:
    return os.path.abspath(path) if local_path(path) is not None else path.rstrip("/")


def _identity(url: str, folders: dict[str, str]) -> str:
    """Return what a file is known by; where folders really lie is looked up once for each."""
    path = local_path(url)
    if path is None:
        return url
    folder, base = os.path.split(path)
    if base in ("", ".", "..") or os.path.islink(path):
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], base)


def _refuse_collisions(inputs: Sequence[str], found: Sequence[str]) -> None:
    folders: dict[str, str] = {}
    sources = {_identity(url, folders) for url in inputs}
    first: dict[str, str] = {}
    for url, out in zip(inputs, found, strict=True):
        if out == STANDARD:
            continue
        identity = _identity(out, folders)
        if identity in first:
            raise click.UsageError(
                f"{first[identity]} and {url} would both be written to {out}; tell them apart by"
                " --name-template '{parent}-{stem}.refs.json', or '{n}-{stem}.refs.json'"
            )
        first[identity] = url
        if identity in sources or _same_file(out, inputs):
            raise click.UsageError(f"{out} is an input, and would be overwritten")


def _same_file(out: str, inputs: Sequence[str]) -> bool:
    """Whether an existing output is an input under another name, as hard links are."""
    path = local_path(out)
    if path is None or not os.path.exists(path):
        return False
    paths = (local_path(url) for url in inputs)
    return any(os.path.samefile(path, p) for p in paths if p is not None and os.path.exists(p))


def check_folder(out: str) -> None:
    """Refuse a local output whose folder is missing or closed.

    Raises
    ------
    SourceError
        If nothing can be written there.
    """
    path = local_path(out)
    if path is None or out == STANDARD:
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise SourceError("its folder does not exist", url=out, hint="create the folder first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SourceError("its folder cannot be written", url=out, hint="choose another output")


def check_name(out: str) -> None:
    """Refuse to call a reference set what other programs take for something else.

    Raises
    ------
    click.UsageError
        If the name ends as that of a Zarr store or a data file does.
    """
    stem, ending = os.path.splitext(out.rstrip("/"))
    if ending.lower() == ".zarr":
        copy = f"refmaker materialize {stem}.json {out}"
        raise click.UsageError(f"{out} would be no Zarr store: -o {stem}.json, then {copy}")
    if ending.lower() in _DATA:
        raise click.UsageError(f"{out} would be no {ending} file: name the set {stem}.json")


def check_free(out: str, *, overwrite: bool, storage_options: Mapping[str, Any] | None) -> None:
    """Refuse to replace what is not ours to replace.

    Raises
    ------
    SourceError
        If there is something that is no reference file, or a reference file that may not
        be overwritten.
    """
    if out == STANDARD:
        return
    check_name(out)
    if not _exists(out, storage_options):
        return
    if not _is_reference_file(out, storage_options):
        raise SourceError(
            "exists and is not a reference file, so it is not overwritten",
            url=out,
            hint="choose another output",
        )
    if not overwrite:
        raise SourceError("exists already", url=out, hint="add --overwrite to replace it")


def _exists(out: str, storage_options: Mapping[str, Any] | None) -> bool:
    path = local_path(out)
    if path is not None:
        return os.path.lexists(path)
    try:
        Source(out, storage_options).close()
    except SourceNotFoundError:
        return False
    return True


def _is_reference_file(out: str, storage_options: Mapping[str, Any] | None) -> bool:
    """Whether it is JSON in one of the forms that hold references, or such a folder."""
    import ujson

    path = local_path(out)
    if path is not None and os.path.isdir(path):
        return is_reference_folder(path)
    try:
        with Source(out, storage_options) as source:
            head = source.read_upto(0, _HEAD)
        if _BEGINNING.match(head):
            return True
        if not head.lstrip().startswith(b"{"):
            return False
        # Members may come in any order, and others may have the same ones further within.
        document = ujson.loads(read_file(out, storage_options))
    except (RefmakerError, OSError, ValueError):
        return False
    if document.get("version") == COMPACT:
        return True
    refs = document.get("refs") if "version" in document else document
    return isinstance(refs, dict) and any(
        key.rpartition("/")[2] in (".zgroup", ".zarray", ".zmetadata", "zarr.json") for key in refs
    )
