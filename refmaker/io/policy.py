"""What a reference document may make its reader do.

A document is somebody else's text, and it decides which files are read and by which codecs
they are decoded. It gets what it came with: a document from afar reaches files behind its own
kind of store, never the reader's own disk or network interface; credentials go where they were
given for; codecs are those that only decode.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from refmaker.codecs import PACKAGES
from refmaker.errors import PolicyError, UnsupportedError
from refmaker.io.source import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Policy", "is_here", "protocol_of"]

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
_CODECS = frozenset(PACKAGES) | {
    *("adler32", "astype", "base64", "bitround", "blosc", "bz2", "categorize", "crc32", "crc32c"),
    *("delta", "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "json2", "lz4"),
    *("lzma", "msgpack2", "packbits", "pcodec", "quantize", "shuffle", "vlen-array", "vlen-bytes"),
    *("vlen-utf8", "zfpy", "zlib", "zstd"),
    # Of Zarr version 3, and of kerchunk.
    *("bytes", "transpose", "sharding_indexed", "cast_value", "scale_offset"),
    *("grib", "fill_hdf_strings", "FITSAscii", "FITSVarBintable", "record_member", "deflate"),
}
_PREFIXES = ("refmaker.", "imagecodecs_")
_ADDRESS = re.compile(r"//(?:[^/@]*@)?\[[0-9A-Fa-f:.%]*\]")
"""A host that is given by its address, which may hold what separates links of a chain."""
_DOCUMENTS = frozenset({".zarray", ".zmetadata", "zarr.json"})
_CHECKED = 1 << 16
"""URLs remembered as allowed."""


def protocol_of(url: str) -> str:
    """Return the protocol of a URL, ``file`` for a path."""
    if local_path(url) is not None:
        return "file"
    return url.partition("://")[0].lower()


def is_here(host: str) -> bool:
    """Whether a host is this machine, or an address that is valid on its own link only."""
    host = host.rstrip(".").lower().partition("%")[0]
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # Systems also take 127.1, 0x7f000001 and 2130706433 for addresses.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified)


class Policy:
    """What one document is allowed.

    Parameters
    ----------
    origin : str, optional
        The document's URL or path; None for one that this process made itself.
    allow : iterable of str, optional
        Protocols (``"s3"``) and prefixes (``"https://host/data/"``, ``"/data/"``) that the
        document may name, and no others. By default a local document may name anything but
        filesystems that wrap others; one from afar what is behind its own protocol, without
        local files and without addresses of this machine, except those of its own host.
    codecs : iterable of str
        Codec ids to allow beside those that are known to decode and do nothing else.

    Attributes
    ----------
    remote : bool
        Whether the document came from afar.
    """

    def __init__(
        self,
        origin: str | None = None,
        *,
        allow: Iterable[str] | None = None,
        codecs: Iterable[str] = (),
    ) -> None:
        self.origin = origin
        last = None if origin is None else origin.rpartition("::")[2]
        self._protocol = "file" if last is None else protocol_of(last)
        self.remote = _FAMILIES.get(self._protocol) != "file"
        self._host = _host(last) if last is not None and self.remote else None
        self._allow = None if allow is None else tuple(allow)
        self._codecs = frozenset(codecs)
        self._checked: set[str] = set()
        self._given: str | None = self._host if self.remote else None

    @property
    def public_only(self) -> bool:
        """Whether names must not resolve to addresses of this machine."""
        return self.remote and self._allow is None

    @property
    def restricted(self) -> bool:
        """Whether there are URLs that the document may not name, nor be redirected to."""
        return self.remote or self._allow is not None

    @property
    def own_host(self) -> str | None:
        """The host that the document came from, without its port."""
        return None if self._host is None else _bare_host(self._host)

    def check_url(self, url: str) -> None:
        """Refuse a file that the document may not name.

        Raises
        ------
        PolicyError
        UnsupportedError
            If the URL is a chain of filesystems.
        """
        if url in self._checked:
            return
        reason = self._refusal(url) if self._allow is None else self._not_listed(url)
        if reason:
            raise PolicyError(
                reason,
                url=self.origin,
                hint="if you trust it, name the protocol or prefix in `allow=[...]`",
            )
        if "::" in _ADDRESS.sub("", url) and local_path(url) is None:
            raise UnsupportedError(
                "chained URLs are not read",
                code="chained-url",
                url=url,
                hint="unpack the archive, and scan the file itself",
            )
        if len(self._checked) < _CHECKED:
            self._checked.add(url)

    def _refusal(self, url: str) -> str | None:
        protocol = protocol_of(url)
        family = _FAMILIES.get(protocol, protocol)
        if family == "file":
            return f"a reference set from afar names the local file {url}" if self.remote else None
        if self.origin is None:
            return None
        if protocol in _WRAPPERS:
            return f"a reference set names {protocol}://, which wraps other filesystems: {url}"
        if not self.remote:
            return None
        if family != _FAMILIES.get(self._protocol, self._protocol):
            return f"a reference set from {self._protocol}:// names {url}"
        if family in _STORES:
            return None
        host = _host(url)
        if host != self._host and is_here(_bare_host(host)):
            return f"a reference set from afar names this machine: {url}"
        return None

    def _not_listed(self, url: str) -> str | None:
        path = local_path(url)
        name = url if path is None else path
        parts = name.replace("\\", "/").lower().replace("%2e", ".").split("/")
        for entry in self._allow or ():
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
        if secret and _FAMILIES.get(protocol, protocol) not in _STORES:
            host = _host(url)
            if self._given is None:
                self._given = host
            if host != self._given:
                raise PolicyError(
                    f"options ({', '.join(secret)}) for {self._given} would go to {host}",
                    url=self.origin,
                    hint=f"give options by prefix: {{'{protocol}://{host}/': {{...}}}}",
                )
        return dict(given)

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
            plain = codec.removeprefix("numcodecs.")
            if plain not in _CODECS | self._codecs and not plain.startswith(_PREFIXES):
                raise PolicyError(
                    f"the codec {codec!r} is not known to be safe",
                    url=self.origin,
                    path=key,
                    hint=f"if you trust it, open with `codecs=[{codec!r}]`",
                )


def _host(url: str) -> str:
    """Return host and port of a URL, or for a store the bucket."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    return f"{host or ''}:{port or ''}"


def _bare_host(host: str) -> str:
    return host.rpartition(":")[0]


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
