"""The reference set as a user holds it: what a scan found, ready to be written or read back."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from refmaker.errors import MetadataError
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage.displayed import Displayed
from refmaker.storage.editable import Editable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.io.policy import Policy
    from refmaker.model import Group
    from refmaker.storage.formats import StoredForm
    from refmaker.storage.readers import Summary

__all__ = ["ReferenceSet", "check_names", "header_of", "made_of", "opened", "read_as"]


@dataclass(frozen=True, slots=True, repr=False)
class ReferenceSet(Editable, Displayed):
    """Groups and arrays whose chunks are byte ranges of other files.

    Parameters
    ----------
    group : Group
        The root group.
    report : ScanReport
        The account of the scan that made it; of a set that was read back it holds what the
        set itself remembers, the format and the sources.
    origins : tuple of str
        The documents that it was read or combined from; none for one that a scan has made.
    allow : tuple of str, optional
        What these documents may name; see `refmaker.io.policy.Policy`.
    named : frozenset of str
        Files that may be named whatever the documents are: the caller's own, or looked at before.
    zarr_format : {2, 3}
        Version of Zarr that it was read in, or asked to be written in.
    stored : StoredForm, optional
        How a set that was read is stored.

    Examples
    --------
    >>> refs = refmaker.scan("examples/air.nc")
    >>> refs
    <ReferenceSet of '.../examples/air.nc' (hdf5)>
    4 arrays, 4 chunks (3 inlined), 56.6 KiB of values
    ├── time  (time: 124)  float32  chunks (124)
    ├── lat  (lat: 11)  float32  chunks (11)
    ├── lon  (lon: 21)  float32  chunks (21)
    └── air  (time: 124, lat: 11, lon: 21)  int16  chunks (124, 11, 21)
    >>> refs["air"].dtype, refs["air"].chunks.referenced
    (dtype('int16'), 1)
    >>> round(float(refs.open()["air"].max()), 2)
    289.55
    """

    group: Group
    report: ScanReport = field(default_factory=lambda: ScanReport(""))
    origins: tuple[str, ...] = ()
    allow: tuple[str, ...] | None = None
    named: frozenset[str] = frozenset()
    zarr_format: int = 2
    stored: StoredForm | None = None

    @property
    def policy(self) -> Policy:
        """What its documents may make a reader fetch."""
        from refmaker.io.policy import Policy

        if self.origins:
            return Policy(self.origins, allow=self.allow, named=self.named)
        return Policy(self.report.url or None, allow=self.allow, named=self.named, scanned=True)

    def urls(self) -> list[str]:
        """Return every file that the set names, once.

        Examples
        --------
        >>> days = [refmaker.scan(f"days/2014-10-0{day}.nc") for day in (1, 2)]
        >>> len(refmaker.combine(days, concat="time").urls())
        2
        """
        from refmaker.storage.rewrite import used_urls

        return used_urls(self.group, self.report.sources)

    def write(  # noqa: PLR0913 - each is a choice of its own
        self,
        out: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,  # noqa: A002 - the word users know
        zarr_format: str | int = "auto",
        relative: bool = False,
        secrets: bool = False,
        templates: str = "auto",
        for_reader: str | None = None,
    ) -> None:
        """Write the set.

        Parameters
        ----------
        out : str or os.PathLike
            Path or URL, which appears whole or not at all; ``-`` is standard output.
        storage_options : mapping, optional
            Passed to fsspec.
        format : str, optional
            "json", that of kerchunk, version 1; "compact", JSON with rules, which only this
            package reads; "parquet", a folder; "icechunk", a repository. By default the name's
            ending decides between ``.parquet`` (or ``.parq``), ``.icechunk``, and JSON for others.
        zarr_format : {"auto", 2, 3}
            Version of Zarr of the metadata in JSON. "auto" is the one that the set was read in,
            2 for others, and 3 where only that can say what is there, as chunks of different
            lengths. Icechunk is version 3, Parquet and compact JSON are version 2.
        relative : bool
            Name the files by their paths from where the set lies, so that both can be moved
            together. Only this package reads such a set from any working directory.
        secrets : bool
            Write URLs that hold a password or a signature as they are. By default they are
            refused, since whoever reads the set would have them.
        templates : {"auto", "always", "never"}
            Whether names stand for URLs in JSON, which is shorter, but which GDAL and VirtualiZarr
            do not understand. By default they do, unless `for_reader` understands none.
        for_reader : str, optional
            Write the set only if this reader understands all of it: one of
            `refmaker.storage.readers.READERS`.

        Raises
        ------
        SourceError
            If the place cannot be written.
        MetadataError
            If something in the set cannot be expressed, or a URL holds a secret.
        UnsupportedError
            If the version of Zarr, the form or `for_reader` cannot have what is there.
        PolicyError
            If the set was read from afar, and names what it may not: in the new place it would
            be trusted.
        MissingDependencyError
            If the format needs a package that is not installed.
        ValueError
            If there is no such format or reader, or the format has no choice of templates.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc")
        >>> refs.write("air.json", templates="never")
        >>> refs.write("gdal.json", for_reader="gdal")
        """
        from refmaker.storage.formats import FORMATS, format_of_name

        form = format_of_name(out) if format is None else format
        if form not in FORMATS:
            raise ValueError(f"format is {format!r}, not one of {', '.join(FORMATS)}")
        stored = self.stored_as(
            form, templates, for_reader, relative=relative, zarr_format=zarr_format
        )
        check_names(self, secrets=secrets)
        refs = self.prepared(stored, for_reader)
        if form == "icechunk":
            from refmaker.storage import icechunk

            if relative:
                raise MetadataError("Icechunk knows no relative paths", url=os.fspath(out))
            icechunk.write(refs.group, out, self.report.sources, storage_options, header_of(refs))
            return
        _write(refs, out, storage_options, stored)

    def stored_as(
        self,
        form: str,
        templates: str = "auto",
        for_reader: str | None = None,
        *,
        relative: bool = False,
        zarr_format: str | int = "auto",
    ) -> StoredForm:
        """Return how `write` would store the set; its parameters and errors are those of it."""
        from refmaker.storage.formats import stored_form

        version = _version(self, form, zarr_format)
        return stored_form(form, templates, for_reader, relative=relative, zarr_format=version)

    def readers(self) -> Summary:
        """Return how far each reader of reference sets understands this one.

        Returns
        -------
        dict
            See `refmaker.storage.readers.summary`; of a set that is not stored yet, as JSON.

        Examples
        --------
        >>> found = refmaker.scan("examples/air.nc").readers()
        >>> sorted(found)
        ['fsspec', 'gdal', 'tensorstore', 'virtualizarr', 'zarrita']
        """
        from refmaker.storage.formats import StoredForm
        from refmaker.storage.readers import summary

        stored = self.stored or StoredForm(zarr_format=_version(self, "json", "auto"))
        refs = self if self.stored else self.prepared(stored)
        return summary(refs.group, stored)

    def prepared(self, stored: StoredForm, for_reader: str | None = None) -> ReferenceSet:
        """Return the set as it is to be written.

        Parameters
        ----------
        stored : StoredForm
            How that is.
        for_reader : str, optional
            The reader that has to understand all of it.

        Raises
        ------
        UnsupportedError, ValueError
            As for `write`.
        """
        group = self.group
        if stored.form in ("json", "parquet"):
            # Rules say of many whole files at once what sizes would say of each.
            from refmaker.storage.explicit import explicit

            group = explicit(group, self.report.sources)
        if for_reader is not None:
            from refmaker.storage.readers import made_for

            group = made_for(group, stored, for_reader, self.report.warn)
        return replace(self, group=group, stored=stored)

    def document(self) -> bytes:
        """Return the content of the file that `write` makes of a set that is `prepared`.

        Returns
        -------
        bytes
            JSON, compact or not, with URLs in full.

        Raises
        ------
        MetadataError, PolicyError
            As for `write`.
        ValueError
            If the set is not prepared, or to be stored in another form.
        """
        if self.stored is None or self.stored.form not in ("json", "compact"):
            raise ValueError("the set is not prepared to be JSON")
        check_names(self, secrets=False)
        file = io.BytesIO()
        _write_document(self, file, self.stored, header_of(self))
        return file.getvalue()

    def rewrite(self, prefixes: Mapping[str, str]) -> ReferenceSet:
        """Return the set with other names of the files that it points into.

        Parameters
        ----------
        prefixes : mapping of str to str
            Old to new beginnings of paths or URLs, such as ``{"/archive": "s3://bucket"}``;
            the first that fits counts, and only whole parts of a path fit.

        Raises
        ------
        MetadataError
            If a prefix is that of no file, or two files would get the same name.

        Examples
        --------
        >>> import os
        >>> refs = refmaker.scan("examples/air.nc")
        >>> refs.rewrite({os.path.abspath("examples"): "s3://bucket/archive"}).urls()
        ['s3://bucket/archive/air.nc']
        """
        from refmaker.storage import rewrite

        policy, urls = self.policy, self.urls()
        renaming = rewrite.new_prefixes(urls, list(prefixes.items()))
        found = _renamed(self, renaming)
        if not policy.remote and policy.allow is None:
            return found
        # The new names are the caller's own; those that stay are the documents'.
        policy.check_urls(url for url in urls if url not in renaming)
        return replace(found, named=self.named | frozenset(renaming.values()))

    def merge(self, *others: ReferenceSet) -> ReferenceSet:
        """Return one set with the variables of several, as ``xarray.merge`` does.

        Parameters
        ----------
        *others : ReferenceSet
            Variables of one path have to be the same in all of them; attributes of groups are
            those of the first.

        Raises
        ------
        MetadataError
            If two variables of one path differ, dimensions of one name in size, or what is known
            of a file.
        PolicyError
            If one of them names files that it may not.

        Examples
        --------
        >>> refs = refmaker.scan("examples/air.nc")
        >>> other = refs.rename({"air": "temperature"})
        >>> sorted(refs.merge(other))
        ['air', 'lat', 'lon', 'temperature', 'time']
        """
        from refmaker.model.editing import merge

        sets = [self, *others]
        report = ScanReport(self.report.url, format=self.report.format)
        for one in sets:
            one.policy.check_urls(one.urls())
            report.rows.extend(one.report.rows)
            report.parts = {**one.report.parts, **report.parts}
            if one.report.format != report.format:
                report.format = ""
            for url, known in one.report.sources.items():
                if report.sources.setdefault(url, known) != known:
                    raise MetadataError(
                        "it has changed between the scans of the sets that are merged",
                        url=url,
                        hint="scan it again",
                    )
        names = [one.report.url or f"set {number}" for number, one in enumerate(sets, 1)]
        return made_of(merge([one.group for one in sets], names), report, sets)

    @classmethod
    def read(
        cls,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        allow: Iterable[str] | None = None,
    ) -> ReferenceSet:
        """Read a set that this package or another wrote, as JSON, Parquet or Icechunk.

        Parameters
        ----------
        url : str or os.PathLike
            Path or URL; ``-`` is standard input.
        storage_options : mapping, optional
            Passed to fsspec.
        allow : iterable of str, optional
            Protocols and prefixes that the set may name; as for `refmaker.open_store`.

        Raises
        ------
        SourceError
            If it cannot be read.
        MetadataError
            If it is no reference set.
        MissingDependencyError
            If it is Parquet, and pyarrow is not installed; or Icechunk, and icechunk is not.
        UnsupportedError
            If something in it cannot be expressed; or it is an Icechunk repository, and icechunk
            is older than version 2.

        Examples
        --------
        >>> refmaker.scan("examples/air.nc").write("air.json")
        >>> refs = refmaker.ReferenceSet.read("air.json")
        >>> list(refs)
        ['time', 'lat', 'lon', 'air']
        """
        from refmaker.storage.detect import reference_form

        return read_as(reference_form(url, storage_options), url, storage_options, allow=allow)


def read_as(
    form: str,
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    allow: Iterable[str] | None = None,
) -> ReferenceSet:
    """Read a set of which is known how it is stored; otherwise as `ReferenceSet.read`.

    Parameters
    ----------
    form : {"json", "parquet", "icechunk"}
        As `refmaker.storage.detect.reference_form` tells it.
    url, storage_options, allow
        As for `ReferenceSet.read`.
    """
    name = os.fspath(url)
    from refmaker.storage.form_readers import read_form

    group, header, stored = read_form(name, form, storage_options)
    return opened(group, header, stored, name, allow=allow)


def opened(
    group: Group,
    header: Mapping[str, Any],
    stored: StoredForm,
    name: str,
    *,
    allow: Iterable[str] | None = None,
) -> ReferenceSet:
    """Return the set that was read from a place.

    Parameters
    ----------
    group : Group
        The root group.
    header : mapping
        The member ``refmaker``.
    stored : StoredForm
        How it is stored.
    name : str
        Where it lies.
    allow : iterable of str, optional
        As for `ReferenceSet.read`.

    Raises
    ------
    MetadataError
        If the header is none.
    """
    from refmaker.storage import rewrite
    from refmaker.storage.form_readers import with_origins

    report = ScanReport(name, format=str(header.get("format", "")))
    sources = header.get("sources", {})
    if not isinstance(sources, dict):
        raise MetadataError("'sources' is no JSON object", url=name, path="refmaker")
    for source, known in sources.items():
        report.sources[source] = Fingerprint.from_dict(known)
    parts = header.get("parts")
    report.parts = parts if isinstance(parts, dict) else {}
    group = with_origins(group, header.get("origins", {}), name)
    found = ReferenceSet(
        group,
        report,
        (name,),
        None if allow is None else tuple(allow),
        zarr_format=stored.zarr_format,
        stored=stored,
    )
    if stored.relative:
        urls = rewrite.used_urls(group, sources)
        return _renamed(found, rewrite.absolute(urls, name))
    return found


def made_of(group: Group, report: ScanReport, sets: Iterable[ReferenceSet]) -> ReferenceSet:
    """Return a set made of others, which is trusted no further than they are.

    Parameters
    ----------
    sets : iterable of ReferenceSet
        What it was made of; each was asked whether it may name its files.
    """
    from refmaker.io.hosts import host_of

    policies = [refs.policy for refs in sets]
    far = {host_of(url): url for policy in policies if policy.remote for url in policy.origins}
    made = ReferenceSet(group, report, tuple(far.values()))
    if not far:
        return made
    allows = {policy.allow for policy in policies}
    if len(allows) == 1 and all(policy.remote for policy in policies):
        return replace(made, allow=allows.pop())
    # Each was asked for itself whether it may name its files; a common answer there is not.
    return replace(made, named=frozenset(made.urls()))


def check_names(refs: ReferenceSet, *, secrets: bool) -> None:
    """Refuse to write what was not to be named, or not to be shown."""
    from refmaker.errors import has_secret

    urls = refs.urls()
    # What a scan of this process found may be named.
    if refs.origins or refs.allow is not None:
        policy = refs.policy
        if policy.remote or policy.allow is not None:
            policy.check_urls(urls)
    secret = None if secrets else next(filter(has_secret, urls), None)
    if secret is not None:
        raise MetadataError(
            "the URL holds a password or signature, which would stand in the reference set",
            url=secret,
            hint="give credentials as storage options in place of it, or write with `secrets=True`",
        )


def _write(
    refs: ReferenceSet,
    out: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None,
    stored: StoredForm,
) -> None:
    from refmaker.io.files import STANDARD, replacing

    if stored.relative:
        from refmaker.storage import rewrite

        if os.fspath(out) == STANDARD:
            raise MetadataError("standard output lies nowhere that paths could be relative to")
        urls = rewrite.used_urls(refs.group, refs.report.sources)
        refs = _renamed(refs, rewrite.relative(urls, out))
    header = header_of(refs) | ({"relative": "true"} if stored.relative else {})
    if stored.form == "parquet":
        from refmaker.storage import parquet

        parquet.write(refs.group, out, header, storage_options)
        return
    with replacing(out, storage_options) as file:
        _write_document(refs, file, stored, header)


def _write_document(
    refs: ReferenceSet, file: IO[bytes], stored: StoredForm, header: dict[str, Any]
) -> None:
    """Write a set to a file that is open, as JSON in one of its forms."""
    if stored.form == "compact":
        from refmaker.storage import compact

        compact.write(refs.group, file, header)
    else:
        from refmaker.storage import json_writer

        json_writer.write(refs.group, file, header, stored.zarr_format, plain=not stored.templates)


def header_of(refs: ReferenceSet) -> dict[str, Any]:
    """Return what every form remembers of a set, besides its references."""
    from refmaker._version import __version__
    from refmaker.storage import json_writer

    origins = {path: array.origin for path, array in refs.group.arrays() if array.origin}
    return json_writer.header(__version__, refs.report, origins)


_WITHOUT = {"NGFF": "`settings={'ngff': '0.4'}`", "GeoZarr": "`settings={'geozarr': 'no'}`"}


def _version(refs: ReferenceSet, form: str, asked: str | int) -> int:
    """Return the version of Zarr to write."""
    from refmaker.errors import UnsupportedError
    from refmaker.model.zarr_v3 import convention_of_version_3, needs_version_3

    if asked not in ("auto", 2, 3):
        raise ValueError(f"zarr_format is {asked!r}, not 'auto', 2 or 3")
    uneven, convention = needs_version_3(refs.group), convention_of_version_3(refs.group)
    version = 3 if uneven or convention else 2
    # What stores of others say of themselves stays, whatever it is written as.
    told = "" if refs.report.format == "zarr" else convention
    if form == "icechunk":
        wrong, version = asked == 2, 3
    elif form == "json":
        wrong = asked == 2 and bool(uneven or told)
        version = max(version, refs.zarr_format) if asked == "auto" else int(asked)
    else:
        wrong, version = asked == 3 or uneven or bool(told), 2
    if not wrong:
        return version
    if form == "icechunk":
        raise UnsupportedError(
            "Icechunk is Zarr version 3",
            code="zarr-format",
            hint="leave the version out (`zarr_format='auto'`)",
        )
    names = {"json": "JSON of version 2", "compact": "compact JSON", "parquet": "Parquet"}
    why = ", which has no chunks of different lengths" if uneven else ""
    why = f", and {told} is of version 3" if told else why
    hint = "write JSON or an Icechunk repository, which have version 3"
    hint = "leave the version out (`zarr_format='auto'`)" if form == "json" else hint
    raise UnsupportedError(
        f"{names[form]} holds Zarr version 2{why}",
        code="zarr-format",
        hint=f"{hint}, or scan with {_WITHOUT[told.split()[0]]}" if told else hint,
    )


def _renamed(refs: ReferenceSet, renaming: Mapping[str, str]) -> ReferenceSet:
    """Return a set with other URLs, in its fingerprints too."""
    from refmaker.storage.rewrite import renamed

    sources = {renaming.get(url, url): known for url, known in refs.report.sources.items()}
    report = replace(refs.report, sources=sources)
    return replace(refs, group=renamed(refs.group, renaming), report=report)
