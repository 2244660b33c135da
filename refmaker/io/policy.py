"""What a reference document may make its reader do.

A document is somebody else's text, and it decides which files are read and by which codecs
they are decoded. It gets what it came with: a document from afar reaches files behind its own
kind of store, never the reader's own disk or network interface; credentials go where they were
given for; codecs are those that only decode.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from refmaker.codecs import PACKAGES, scanner_codecs
from refmaker.errors import PolicyError, UnsupportedError
from refmaker.io.hosts import host_of, is_here
from refmaker.io.known_heads import HEADS
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from refmaker.io.hosts import Host

__all__ = ["CODECS", "Policy", "linked", "policy_of", "protocol_of"]

_KEY = "refmaker.policy"
"""Storage option by which a policy travels with the options through scanners and workers."""

_FAMILIES = {
    **dict.fromkeys(("http", "https"), "http"),
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "az"),
    **dict.fromkeys(("file", "local"), "file"),
}
_WRAPPERS = frozenset(
    {
        *("reference", "refmaker", "simplecache", "filecache", "blockcache", "cached", "dir"),
        *("dask", "jlab", "jupyter", "data", "generic"),
    }
)
"""Protocols that wrap others, or write files, or run something."""
_STORES = frozenset({"s3", "gs", "az", "file", "memory"})
"""Protocols whose URLs name no host: credentials go to the host of the options, not of the URL."""
_HARMLESS = frozenset(
    {
        *("anon", "asynchronous", "block_size", "default_block_size", "cache_type", "size_policy"),
        *("requester_pays", "skip_instance_cache", "use_listings_cache", "timeout", "project"),
        *("default_cache_type", "max_concurrency", "same_names", "simple_links", "encoded"),
    }
)
"""Storage options that are no secret."""
CODECS = frozenset(PACKAGES) | {
    *("adler32", "astype", "base64", "bitround", "blosc", "bz2", "categorize", "crc32", "crc32c"),
    *("delta", "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "json2", "lz4"),
    *("lzma", "msgpack2", "packbits", "pcodec", "quantize", "shuffle", "vlen-array", "vlen-bytes"),
    *("vlen-utf8", "zfpy", "zlib", "zstd"),
    # Of Zarr version 3, and of kerchunk.
    *("bytes", "transpose", "sharding_indexed", "cast_value", "scale_offset"),
    *("grib", "fill_hdf_strings", "FITSAscii", "FITSVarBintable", "record_member", "deflate"),
}
"""Ids of codecs that only decode."""
_PREFIXES = ("refmaker.", "imagecodecs_")
_ADDRESS = re.compile(r"//(?:[^/@]*@)?\[[0-9A-Fa-f:.%]*\]")
"""A host that is given by its address, which may hold what separates links of a chain."""
_DOCUMENTS = frozenset({".zarray", ".zmetadata", "zarr.json"})
_CHECKED = 1 << 16
"""URLs remembered as allowed."""


def policy_of(url: str, storage_options: Mapping[str, Any] | None) -> tuple[Policy, dict[str, Any]]:
    """Return the policy by which a file is opened, which allows it, and the options meant for it.

    Parameters
    ----------
    url : str
        The file.
    storage_options : mapping, optional
        Options that `Policy.bound` gave; of others the file counts as one that a user named.

    Raises
    ------
    PolicyError, UnsupportedError
        If the file may not be opened.
    """
    given = dict(storage_options or {})
    given.pop(HEADS, None)
    policy = given.pop(_KEY, None)
    if policy is None:
        return Policy(url, scanned=True), given
    policy.check_url(url)
    return policy, policy.options(url, given)


def linked(url: str, storage_options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the storage options for files that the file at a URL names.

    Such a name is trusted no further than one in a document that came from there.
    """
    return storage_options if _KEY in storage_options else Policy(url).bound(storage_options)


def protocol_of(url: str) -> str:
    """Return the protocol of a URL, ``file`` for a path."""
    if local_path(url) is not None:
        return "file"
    return url.partition("://")[0].lower()


class Policy:
    """What one document, or one scan, is allowed.

    Parameters
    ----------
    origin : str or iterable of str, optional
        The document's URL or path, or those of all documents that a set was combined from; none
        for a set that this process made itself.
    allow : iterable of str, optional
        Protocols (``"s3"``) and prefixes (``"https://host/data/"``, ``"/data/"``) that the
        document may name, and no others. By default a local document may name anything but
        filesystems that wrap others; one from afar what is behind its own protocol, without
        local files and without addresses of this machine, except those of its own host.
    codecs : iterable of str
        Codec ids to allow beside those that are known to decode and do nothing else.
    named : iterable of str
        Files that may be named in any case.
    scanned : bool
        Whether `origin` is not a document but a file that a user named to be scanned: only what
        redirects from another machine to this one is refused of where it leads.

    Attributes
    ----------
    remote : bool
        Whether a document came from afar, and no scanned file.
    """

    def __init__(
        self,
        origin: str | Iterable[str] | None = None,
        *,
        allow: Iterable[str] | None = None,
        codecs: Iterable[str] = (),
        named: Iterable[str] = (),
        scanned: bool = False,
    ) -> None:
        self.origins = (origin,) if isinstance(origin, str) else tuple(origin or ())
        self.scanned = scanned
        lasts = [name.rpartition("::")[2] for name in self.origins]
        self._far = [name for name in lasts if _family(name) != "file"]
        self._families = {_family(name) for name in self._far}
        self.remote = bool(self._far) and not scanned
        self._hosts = {host_of(name) for name in self._far if _family(name) not in _STORES}
        self.allow = None if allow is None else tuple(allow)
        self.codecs = tuple(codecs)
        self.named = frozenset(named)
        self._checked: set[str] = set()
        self._given: Host | None = next(iter(self._hosts)) if len(self._hosts) == 1 else None

    def __reduce__(self) -> tuple[Any, ...]:
        return _policy, (self.origins, self.allow, self.codecs, self.named, self.scanned)

    def bound(self, storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return storage options under which files are opened by this policy: see `policy_of`."""
        return {**(storage_options or {}), _KEY: self}

    @property
    def origin(self) -> str | None:
        """Where the document came from, the first if they are many."""
        return self.origins[0] if self.origins else None

    def check_urls(self, urls: Iterable[str]) -> None:
        """Refuse files that the document may not name; see `check_url`."""
        for url in urls:
            self.check_url(url)

    def check_url(self, url: str) -> None:
        """Refuse a file that the document may not name.

        Raises
        ------
        PolicyError
        UnsupportedError
            If the URL is a chain of filesystems.
        """
        if url in self._checked or url in self.named:
            return
        reason = self._refusal(url) if self.allow is None else self._not_listed(url)
        if reason:
            raise self._refused(reason)
        if "::" in _ADDRESS.sub("", url) and local_path(url) is None:
            raise UnsupportedError(
                "chained URLs are not read",
                code="chained-url",
                url=url,
                hint="scan it: members of archives become parts of the archive",
            )
        if len(self._checked) < _CHECKED:
            self._checked.add(url)

    def check_redirect(self, url: str, moved: str) -> None:
        """Refuse to be led to another place than the one that was named.

        Parameters
        ----------
        url : str
            What was asked for.
        moved : str
            Where the answer sends the client.

        Raises
        ------
        PolicyError
        """
        if urlsplit(moved).scheme not in ("http", "https"):
            raise self._refused(f"redirected to {moved}")
        if self.remote or self.allow is not None:
            self.check_url(moved)
        elif self.is_led_here(url, moved):
            raise self._refused(f"redirected from afar to this machine: {moved}")

    def is_led_here(self, url: str, moved: str) -> bool:
        """Whether a redirection leads from another machine to this one."""
        there, here = host_of(url), host_of(moved)
        return here not in self._hosts and is_here(here[0]) and not is_here(there[0])

    @property
    def hosts(self) -> frozenset[Host]:
        """The hosts that documents came from, or the one that was scanned."""
        return frozenset(self._hosts)

    def _refused(self, reason: str) -> PolicyError:
        hint = "if you trust it, name the protocol or prefix in `allow=[...]`"
        return PolicyError(reason, url=self.origin, hint=hint)

    def _refusal(self, url: str) -> str | None:
        protocol = protocol_of(url)
        family = _FAMILIES.get(protocol, protocol)
        if family == "file":
            return f"a reference set from afar names the local file {url}" if self._far else None
        if not self.origins:
            return None
        if protocol in _WRAPPERS:
            return f"a reference set names {protocol}://, which wraps other filesystems: {url}"
        if not self._far:
            return None
        if family not in self._families:
            return f"a reference set from {_origin_protocols(self._far)} names {url}"
        if family in _STORES:
            return None
        host = host_of(url)
        if host in self._hosts:
            return None
        if is_here(host[0]):
            return f"a reference set from afar names this machine: {url}"
        # Only HTTP is asked by a client that looks at the address which it connects to.
        return None if family == "http" else f"a reference set from afar names another host: {url}"

    def _not_listed(self, url: str) -> str | None:
        path = local_path(url)
        name = url if path is None else path
        parts = name.replace("\\", "/").lower().replace("%2e", ".").split("/")
        for entry in self.allow or ():
            if _listed(name, entry, path is not None):
                if "://" in entry or "/" in entry:
                    return f"a relative part in {url}" if ".." in parts else None
                return None
        return f"a reference set names {url}, which is not allowed"

    def options(self, url: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the storage options that are meant for a file.

        Parameters
        ----------
        url : str
        given : mapping
            Options by protocol or prefix, of which the longest that fits counts; or options
            for all files, which go to one host if there is a secret among them: the
            document's own, or else the first that is named.

        Raises
        ------
        PolicyError
            If they are not meant for this host.
        """
        protocol = protocol_of(url)
        if _FAMILIES.get(protocol) == "file" or not given:
            return {}
        if _by_prefix(given):
            fitting = [entry for entry in given if _listed(url, entry, False)]
            return dict(given[max(fitting, key=len)]) if fitting else {}
        secret = [name for name in given if name not in _HARMLESS]
        if secret and _FAMILIES.get(protocol, protocol) not in _STORES and "::" not in url:
            host = host_of(url)
            if len(self._hosts) > 1:
                owners = " and ".join(_shown(host) for host in sorted(self._hosts, key=str))
            elif self._given is None or self._given == host:
                self._given = host
                return dict(given)
            else:
                owners = _shown(self._given)
            prefix = f"{protocol}://{urlsplit(url).netloc.rpartition('@')[2]}/"
            raise PolicyError(
                f"options ({', '.join(secret)}) for {owners} would go to {_shown(host)}",
                url=self.origin,
                hint=f"give options by prefix: `storage_options={{'{prefix}': {{...}}}}`",
            )
        return dict(given)

    def untrusted(self, configs: Sequence[Mapping[str, Any]]) -> str:
        """Return a codec that is not known to decode and do nothing else; empty if there is none.

        Parameters
        ----------
        configs : sequence of mapping
            Configurations, with others in them or not.
        """
        names = _named([dict(config) for config in configs])
        return next((name for name in names if not self._trusts(name)), "")

    def _trusts(self, codec: str) -> bool:
        plain = codec.removeprefix("numcodecs.")
        known = plain in CODECS.union(self.codecs) or plain.startswith(_PREFIXES)
        return known or plain in scanner_codecs()

    def check_document(self, key: str, data: bytes) -> None:
        """Refuse array metadata that name a codec which is not known to only decode.

        Raises
        ------
        PolicyError
        """
        name = key.rpartition("/")[2]
        if name not in _DOCUMENTS:
            return
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return  # Not for the policy to judge: the reader of metadata will.
        for codec in _codecs(document):
            if not self._trusts(codec):
                raise PolicyError(
                    f"the codec {codec!r} is not known to be safe",
                    url=self.origin,
                    path=key,
                    hint=f"if you trust it, open with `codecs=[{codec!r}]`",
                )


def _policy(*state: Any) -> Policy:
    origins, allow, codecs, named, scanned = state
    return Policy(origins, allow=allow, codecs=codecs, named=named, scanned=scanned)


def _family(url: str) -> str:
    protocol = protocol_of(url)
    return _FAMILIES.get(protocol, protocol)


def _origin_protocols(urls: Iterable[str]) -> str:
    return " and ".join(sorted({f"{protocol_of(url)}://" for url in urls}))


def _shown(host: Host) -> str:
    return host[0] if host[1] is None else f"{host[0]}:{host[1]}"


def _listed(url: str, entry: str, local: bool) -> bool:
    """Whether a URL or path is behind a protocol or prefix."""
    if "://" not in entry and "/" not in entry:
        protocol = "file" if local else protocol_of(url)
        return _FAMILIES.get(entry, entry) == _FAMILIES.get(protocol, protocol)
    path = local_path(entry)
    prefix = entry if path is None else path
    if local != (path is not None) or not url.startswith(prefix):
        return False
    return prefix.endswith("/") or url[len(prefix) : len(prefix) + 1] in ("", "/")


def _by_prefix(given: Mapping[str, Any]) -> bool:
    from fsspec.registry import available_protocols

    known = {*available_protocols(), *_FAMILIES}
    return all(
        isinstance(value, dict) and ("://" in name or name in known)
        for name, value in given.items()
    )


def _codecs(document: Any) -> Iterator[str]:
    """Yield the ids of all codecs in array metadata, also of those inside of others."""
    if not isinstance(document, dict):
        return
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        for below in metadata.values():
            yield from _codecs(below)
    consolidated = document.get("consolidated_metadata")
    if isinstance(consolidated, dict):
        yield from _codecs(consolidated)
    if "shape" in document:
        for member in ("filters", "compressor", "codecs"):
            yield from _named(document.get(member))


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        name = value.get("id")
        if name is None and value.keys() <= {"name", "configuration"}:
            name = value.get("name")
        if isinstance(name, str):
            yield name
        for below in value.values():
            yield from _named(below)
    elif isinstance(value, list):
        for below in value:
            yield from _named(below)
