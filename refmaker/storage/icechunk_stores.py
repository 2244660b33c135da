"""Where Icechunk repositories and the files of their virtual chunks lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from refmaker.errors import UnsupportedError
from refmaker.io.source import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["containers", "credentials", "file_url", "location", "open_storage"]


def location(url: str) -> str:
    """Return a file's URL as icechunk parses it: percent-encoded.

    Raises
    ------
    UnsupportedError
        If it lies where icechunk does not read.
    """
    path = local_path(url)
    if path is not None:
        return "file://" + quote(os.path.abspath(path))
    parts = urlsplit(url)
    if "::" in url or parts.scheme not in ("s3", "s3a", "http", "https"):
        raise UnsupportedError(
            "virtual chunks lie in local files, s3:// or http(s):// only",
            code="icechunk-protocol",
            url=url,
        )
    if parts.scheme in ("http", "https"):
        # A URL of the web is what it is.
        return url
    # Not parts.path: keys may hold "?" and "#".
    bucket, _, key = url.partition("://")[2].partition("/")
    return f"s3://{bucket}/{quote(key)}"


def file_url(location: str) -> str:
    """Return the URL, or the path of a local file, that icechunk's percent-encoded URL means."""
    scheme, _, rest = location.partition("://")
    if scheme == "file":
        return unquote(rest)
    return location if scheme in ("http", "https") else f"{scheme}://{unquote(rest)}"


def containers(
    icechunk: Any, locations: Iterable[str], storage_options: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Return the containers that cover locations, and the credentials of each.

    Parameters
    ----------
    locations : iterable of str
        As `location` returns them.

    Returns
    -------
    dict of str to (store, credentials)
        By prefix: a bucket or host each; for local files the folders that they have in common,
        one for each folder in ``/``, which itself icechunk does not take.

    Raises
    ------
    UnsupportedError
        If a local file is out of its reach.
    """
    found: dict[str, tuple[Any, Any]] = {}
    folders: dict[str, list[str]] = {}
    for place in dict.fromkeys(locations):
        parts = urlsplit(place)
        if parts.scheme == "file":
            folders.setdefault(parts.path.split("/")[1], []).append(os.path.dirname(parts.path))
            continue
        prefix = f"{parts.scheme}://{parts.netloc}/"
        if prefix not in found:
            store = _remote(icechunk, parts.scheme, storage_options)
            found[prefix] = store, credentials(icechunk, prefix, storage_options)
    for top, below in folders.items():
        common = _plain(os.path.commonpath(below))
        if common == "/":
            raise UnsupportedError(
                f"icechunk reaches no files directly below '/', nor below {unquote(top)!r}",
                code="icechunk-place",
            )
        prefix = f"file://{common}"
        found[prefix] = icechunk.local_filesystem_store(common), credentials(icechunk, prefix, {})
    return found


def _plain(folder: str) -> str:
    """Cut an encoded path before the first part whose encoding differs: prefixes have none."""
    kept = [""]
    for part in folder.strip("/").split("/"):
        if not part or "%" in part:
            break
        kept.append(part)
    return "/".join(kept) + "/"


def _remote(icechunk: Any, scheme: str, options: Mapping[str, Any]) -> Any:
    if scheme != "s3":
        return icechunk.http_store()
    return icechunk.s3_store(
        region=_region(options),
        endpoint_url=_endpoint(options),
        allow_http=str(_endpoint(options)).startswith("http://"),
        anonymous=bool(options.get("anon")),
        force_path_style=_endpoint(options) is not None,
    )


def credentials(icechunk: Any, prefix: str, options: Mapping[str, Any]) -> Any:
    """Return what icechunk reads the files below a prefix with.

    Parameters
    ----------
    prefix : str
        As `containers` returns them, or as a repository records them.

    Returns
    -------
    object
        Where no credentials are needed, icechunk's object that says so; None before version
        2.3, which has no such object, and for protocols that are not written here.
    """
    scheme = prefix.partition("://")[0]
    if scheme == "file":
        return getattr(icechunk.credentials, "LocalFileSystemAccess", None)
    if scheme in ("http", "https"):
        return getattr(icechunk.credentials, "HttpAccess", None)
    if scheme != "s3":
        return None
    if options.get("anon"):
        return icechunk.s3_anonymous_credentials()
    if options.get("key"):
        return icechunk.s3_static_credentials(
            access_key_id=options["key"],
            secret_access_key=options["secret"],
            session_token=options.get("token"),
        )
    return icechunk.s3_from_env_credentials()


def _region(options: Mapping[str, Any]) -> str | None:
    client = options.get("client_kwargs") or {}
    return client.get("region_name") or options.get("region_name")


def _endpoint(options: Mapping[str, Any]) -> str | None:
    client = options.get("client_kwargs") or {}
    return options.get("endpoint_url") or client.get("endpoint_url")


def open_storage(icechunk: Any, url: str, storage_options: Mapping[str, Any]) -> Any:
    """Return the storage of a repository.

    Raises
    ------
    UnsupportedError
        If icechunk has no storage for such a URL.
    """
    path = local_path(url)
    if path is not None:
        return icechunk.local_filesystem_storage(os.path.abspath(path))
    parts = urlsplit(url)
    prefix = parts.path.strip("/") or None
    options = storage_options
    if parts.scheme in ("s3", "s3a"):
        given: dict[str, Any] = {"anonymous": True} if options.get("anon") else {"from_env": True}
        if options.get("key"):
            given = {
                "access_key_id": options["key"],
                "secret_access_key": options["secret"],
                "session_token": options.get("token"),
            }
        return icechunk.s3_storage(
            bucket=parts.netloc,
            prefix=prefix,
            region=_region(options),
            endpoint_url=_endpoint(options),
            allow_http=str(_endpoint(options)).startswith("http://"),
            force_path_style=_endpoint(options) is not None,
            **given,
        )
    if parts.scheme in ("http", "https") and hasattr(icechunk, "http_storage"):
        return icechunk.http_storage(url)
    raise UnsupportedError(
        "repositories lie in folders, and at s3://, or http(s):// to be read",
        code="icechunk-protocol",
        url=url,
    )
