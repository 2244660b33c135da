"""What a catalog says of one reference set, whatever the catalog's own language."""

from __future__ import annotations

import itertools
import os
import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.reading.reader import Reader

__all__ = ["Entry", "Parameter", "describe_entry"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORBIDDEN = re.compile(r"secret|password|passwd|token|credential|^key$|access_?key", re.IGNORECASE)
_BRACES = re.compile(r"[{}]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a reference set's name, which whoever opens the entry may choose.

    Parameters
    ----------
    name : str
        Of the field.
    default : str
        As it stands in a file's name.
    description : str
        How values are written.
    """

    name: str
    default: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One reference set in a catalog.

    Parameters
    ----------
    name : str
        An identifier.
    folder : str
        What ``CATALOG_DIR`` stands for: the catalog's folder, or empty where `path` is absolute.
    path : str
        The reference set, relative to the folder, with ``{field}`` for parameters.
    description : str
        For people.
    group : str
        Path of the group that is opened; empty for the root.
    stock : bool
        Whether readers are fsspec's and Zarr's own; else refmaker's.
    consolidated : bool
        Whether metadata stand together.
    remote_protocol : str
        Protocol of the files that hold the data.
    remote_options : mapping
        fsspec's options for them.
    parameters : tuple of Parameter
        In the order of their appearance.
    metadata : mapping
        What is known besides: dimensions, variables, packages.
    tiff : str
        URL or absolute path of the data file, if that is one TIFF; else empty.
    """

    name: str
    path: str
    folder: str = ""
    description: str = ""
    group: str = ""
    stock: bool = True
    consolidated: bool = True
    remote_protocol: str = "file"
    remote_options: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tiff: str = ""

    @property
    def example(self) -> str:
        """The reference set's absolute path or URL, with every parameter at its default."""
        path = self.path.format_map({p.name: p.default for p in self.parameters})
        return join(self.folder, path)

    @property
    def target_options(self) -> dict[str, Any]:
        """Fsspec's options that its reference filesystem needs for the files."""
        from fsspec import get_filesystem_class

        options = dict(self.remote_options)
        # Zarr reads asynchronously, and both filesystems have to.
        if getattr(get_filesystem_class(self.remote_protocol), "async_impl", False):
            options["asynchronous"] = True
        return options

    def located(self, directory: str, opening: str, closing: str) -> str:
        """Return the set's name in a catalog's own language.

        Parameters
        ----------
        directory : str
            How that language writes the catalog's folder.
        opening, closing : str
            Around the name of a parameter.
        """
        fields = {p.name: f"{opening}{p.name}{closing}" for p in self.parameters}
        path = self.path.format_map(fields)
        return f"{directory}/{path}" if self.folder else path


def join(folder: str, path: str) -> str:
    """Return a name that may be relative to a folder."""
    return path if not folder else f"{folder.rstrip('/')}/{path}"


def describe_entry(  # noqa: PLR0913 - each is a choice of its own
    refs: str,
    catalog: str,
    *,
    name: str | None = None,
    description: str = "",
    group: str = "",
    stock: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Entry:
    """Look at a reference set, and return what a catalog is to say of it.

    Parameters
    ----------
    refs : str
        Path or URL of a reference set, or a pattern of several, such as ``{date:%Y%m%d}.json``.
    catalog : str
        Path or URL of the catalog; sets below its folder are named relative to it.
    name : str, optional
        By default from the name of the set.
    description, group : str
        As for `Entry`.
    stock : bool, optional
        By default true where stock readers can read the set.
    storage_options : mapping, optional
        fsspec's options for the files that hold the data; they are written into the catalog.
    parameters : mapping of str to str, optional
        A default for every field of a pattern.

    Raises
    ------
    MetadataError
        If name, group, parameters or options do not fit, or a secret would be written.
    RefmakerError
        If the set cannot be opened.
    """
    from refmaker.reading.open import open_store
    from refmaker.storage.detect import reference_form

    options = dict(storage_options or {})
    _refuse_secrets(options)
    path, chosen = _parameters(refs, parameters or {})
    where = path.format_map({p.name: p.default for p in chosen})
    # A data file would be scanned, and stock readers could not open the entry.
    reference_form(where, options)
    reader = open_store(where, options).reader
    protocols = {protocol_of(url) for url in reader.references.urls()} or {"file"}
    obstacle = _obstacle(reader, protocols)
    if stock and obstacle:
        raise MetadataError(
            f"stock readers cannot read it: {obstacle}",
            url=where,
            hint="choose the driver of refmaker",
        )
    folder, inside = _relative(path, catalog)
    return Entry(
        name=_checked_name(name or _default_name(path)),
        folder=folder,
        path=inside,
        description=description,
        group=_checked_group(reader, group, where),
        stock=not obstacle if stock is None else stock,
        consolidated=reader.consolidated,
        remote_protocol=min(protocols),
        remote_options=options,
        parameters=chosen,
        metadata=_metadata(reader, group),
        tiff=_tiff(reader),
    )


def _tiff(reader: Reader) -> str:
    """Return the file of a set whose only file is a TIFF; empty if it is named relatively."""
    files = set(itertools.islice(reader.references.urls(), 2))
    found = reader.references.children("tiff")
    url = files.pop() if len(files) == 1 and found is not None else ""
    path = local_path(url)
    return url if path is None or os.path.isabs(path) else ""


def protocol_of(url: str) -> str:
    """Return the protocol of the file's URL; that of a path is ``file``."""
    return "file" if local_path(url) is not None else url.partition("://")[0]


def _refuse_secrets(options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if _FORBIDDEN.search(key) and value not in (None, False, ""):
            raise MetadataError(
                f"the storage option {key!r} looks like a secret, which a catalog would show",
                hint="leave it out, and let readers take it from their environment",
            )
        if isinstance(value, dict):
            _refuse_secrets(value)


def _parameters(refs: str, given: Mapping[str, str]) -> tuple[str, tuple[Parameter, ...]]:
    """Return the name with ``{field}`` for every field, and the fields."""
    from refmaker.patterns.url_pattern import Placeholder, parse_pattern

    if not _BRACES.search(refs):
        if given:
            raise MetadataError(f"{refs} has no field {min(given)!r}")
        return refs, ()
    tokens = parse_pattern(refs).tokens
    fields = {token.name: token for token in tokens if isinstance(token, Placeholder)}
    if set(fields) != set(given):
        missing = ", ".join(sorted(set(fields) ^ set(given)))
        raise MetadataError(
            f"the fields of {refs} and the given parameters differ: {missing}",
            hint="every field needs a default: `parameters={'NAME': 'VALUE'}`",
        )
    chosen = tuple(
        Parameter(name, str(given[name]), _written(fields[name].spec)) for name in fields
    )
    text = "".join(
        "{" + token.name + "}"
        if isinstance(token, Placeholder)
        else token.replace("{", "{{").replace("}", "}}")
        for token in tokens
    )
    return text, chosen


def _written(spec: str) -> str:
    return f"written as {spec}" if spec else ""


def _relative(path: str, catalog: str) -> tuple[str, str]:
    """Return the catalog's folder and the set's name in it; no folder where it lies elsewhere."""
    here, there = local_path(path), local_path(catalog)
    if here is not None and there is not None:
        folder = os.path.dirname(os.path.abspath(there))
        inside = os.path.relpath(os.path.abspath(here), folder).replace(os.sep, "/")
        return folder, inside
    if here is None and there is None:
        folder = posixpath.dirname(catalog)
        if path.startswith(f"{folder}/"):
            return folder, path[len(folder) + 1 :]
    return "", path if here is None else os.path.abspath(here)


def _default_name(path: str) -> str:
    stem = posixpath.basename(path.rstrip("/").replace(os.sep, "/"))
    stem = re.sub(r"(\.refs)?\.(json|parq(uet)?)(\.(gz|zst))?$", "", stem)
    stem = re.sub(r"\{[^{}]*\}", "", stem)
    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_")
    return f"_{name}" if name[:1].isdigit() else name or "data"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise MetadataError(
            f"{name!r} is not the name of an entry", hint="letters, digits and _, no digit first"
        )
    return name


def _checked_group(reader: Reader, group: str, where: str) -> str:
    group = group.strip("/")
    groups = _groups_with_arrays(reader)
    if group in groups:
        return group
    known = sorted(groups)[:20]
    what = f"there are no arrays in the group /{group}"
    others = ", ".join(f"/{name}" for name in known) or "none"
    such = f", such as `group='/{known[0]}'`" if known else ""
    raise MetadataError(what, url=where, hint=f"choose a group with arrays{such}: {others}")


def _groups_with_arrays(reader: Reader) -> set[str]:
    arrays = (key.rpartition("/")[0] for key in reader.array_paths())
    return set(arrays)


def _obstacle(reader: Reader, protocols: set[str]) -> str:
    """Return why fsspec's own reader would fail, or be wrong; empty if it would not."""
    from refmaker.storage.reference_index import ReferenceIndex
    from refmaker.storage.rewrite import is_relative

    references = reader.references
    if isinstance(references, ReferenceIndex) and (references.rules or references.compact):
        return "it is a compact set, or has rules in place of references"
    if is_relative(reader.references.header):
        return "it names files relative to itself"
    if reader.uneven:
        return "its chunks are of different lengths, which zarr reads by a setting"
    if len(protocols) > 1:
        return f"its files are behind several protocols, {', '.join(sorted(protocols))}"
    return ""


def _metadata(reader: Reader, group: str) -> dict[str, Any]:
    """Return variables and packages, which tell what an entry is before it is opened."""
    from refmaker.codecs import requirements

    inside = group.strip("/")
    names = [
        path.rpartition("/")[2]
        for path in reader.array_paths()
        if path.rpartition("/")[0] == inside
    ]
    configs = [config for path, config in reader.codec_configs(check=False)]
    packages = [name for name in requirements(configs) if name != "numcodecs"]
    found: dict[str, Any] = {"variables": sorted(names)}
    if packages:
        found["packages"] = packages
    return found
