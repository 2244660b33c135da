"""Byte ranges of one remote file: fetched together, retried, checked, errors named.

Anything that fsspec knows goes through its ``cat_ranges``. HTTP is asked directly, on
fsspec's own session, since three things are only to be seen in a response's headers: that a
server ignores ranges and is about to send gigabytes, that the file is no longer the one that
was opened, and, in the answer to the first range, the file's size, which saves a request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from refmaker.errors import (
    MissingDependencyError,
    RefmakerError,
    SourceError,
    SourceNotFoundError,
    TruncatedError,
)
from refmaker.io.http_ranges import get_first, get_ranges, http_time
from refmaker.io.policy import policy_of
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker.io.policy import Policy
    from refmaker.model.report import Cost

__all__ = ["Piece", "RemoteFile", "explained", "may_pass"]

RETRIES = 3
"""How often a request is repeated after an error that may pass."""
PAUSE = 0.2
"""Seconds before the first repetition; doubled for each further one."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states after which it is worth asking again."""

Piece = tuple[int, bytes]
"""Offset in the file, and the bytes there."""

_STRAY_BODY = 16 * 1024**2
"""Largest whole file taken for a range from a server that answered ranges before."""

_EXTRAS = {
    **dict.fromkeys(("http", "https"), "http"),
    "s3": "s3",
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
}
_LASTING = (
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotImplementedError,
    ImportError,
    TypeError,
    ValueError,
    RefmakerError,
)


class RemoteFile:
    """One remote file.

    Parameters
    ----------
    url : str
        Any URL that fsspec knows.
    storage_options : mapping
        Passed to fsspec.
    cost : Cost
        Counted up with every request.
    policy : Policy
        What may be reached.
    first : int
        Bytes to fetch together with the file's description, where the protocol can.
    largest : int
        Size up to which the whole file is accepted from a server that ignores ranges.

    Attributes
    ----------
    fingerprint : Fingerprint
        The file as it was when opened.
    head : list of (int, bytes)
        What came with the description.

    Raises
    ------
    SourceNotFoundError, SourceError
        If the file is not there or cannot be opened.
    MissingDependencyError
        If the protocol needs a package that is not installed.
    """

    def __init__(
        self,
        url: str,
        storage_options: Mapping[str, Any],
        cost: Cost,
        *,
        policy: Policy,
        first: int,
        largest: int,
    ) -> None:
        self.url = url
        self.head: list[Piece] = []
        self._cost = cost
        self._fs, self._name = _filesystem(url, storage_options)
        self._http = _speaks_http(self._fs)
        self._largest = largest
        self.fingerprint = self._first(first) if self._http else self._info()

    @classmethod
    def named(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None,
        cost: Cost,
        *,
        first: int,
        largest: int,
    ) -> RemoteFile:
        """Return a file by storage options that may hold a policy; see `policy_of`."""
        policy, options = policy_of(url, storage_options)
        return cls(url, options, cost, policy=policy, first=first, largest=largest)

    def describe(self) -> Fingerprint:
        """Return what the store says of the file now.

        Raises
        ------
        SourceNotFoundError, SourceError
            If the file is not there any more.
        """
        if self._http:
            return self._first(1)
        self._fs.invalidate_cache()
        return self._info()

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> list[Piece]:
        """Return the bytes of many ``(start, stop)``, fetched concurrently.

        Returns
        -------
        list of (int, bytes)
            One piece per range; or more than was asked for, where a server ignores ranges.

        Raises
        ------
        SourceError
            If a range cannot be fetched.
        SourceChangedError
            If the file is not the one that was opened.
        TruncatedError
            If fewer bytes come than were asked for.
        """
        answers = self._persist(list(ranges), self._ask)
        pieces = []
        for (start, stop), answer in zip(ranges, answers, strict=True):
            self._cost.bytes_read += len(answer)
            if len(answer) == stop - start:
                pieces.append((start, answer))
            elif len(answer) == self.fingerprint.size:
                pieces.append((0, answer))
            else:
                raise self._unequal(start, stop, len(answer))
        return pieces

    def _unequal(self, start: int, stop: int, count: int) -> RefmakerError:
        if count < stop - start:
            return TruncatedError(
                f"the server gave {count} bytes of {stop - start}",
                url=self.url,
                offset=start,
                hint="the file became shorter, or the connection was cut",
            )
        return SourceError(
            f"the server gave {count} bytes instead of {stop - start}: it ignores byte ranges",
            url=self.url,
            offset=start,
            hint="download the file first",
        )

    def _ask(self, ranges: list[tuple[int, int]]) -> list[Any]:
        """Send one batch; errors are returned in the places of the answers."""
        if self._http:
            return get_ranges(self._fs, self._name, ranges, self.fingerprint, _STRAY_BODY)
        got = self._fs.cat_ranges(
            [self._name] * len(ranges),
            [start for start, _ in ranges],
            [stop for _, stop in ranges],
            on_error="return",
        )
        return list(got)

    def _persist(self, items: list[Any], ask: Callable[[list[Any]], list[Any]]) -> list[Any]:
        """Ask for many things, and again for those that fail in a way that may pass."""
        results: list[Any] = [None] * len(items)
        todo = list(range(len(items)))
        for attempt in range(RETRIES + 1):
            try:
                got = ask([items[i] for i in todo])
            except Exception as error:  # noqa: BLE001 - stores raise what they like; named below
                got = [error] * len(todo)
            self._cost.requests += len(todo)
            self._cost.rounds += 1
            for i, result in zip(todo, got, strict=True):
                results[i] = result
            todo = [i for i in todo if isinstance(results[i], Exception)]
            if not todo:
                break
            # One error that lasts decides, whatever became of the others.
            last = next((results[i] for i in todo if not may_pass(results[i])), None)
            if last is not None or attempt == RETRIES:
                _fail(last or results[todo[0]], self.url)
            time.sleep(PAUSE * 2**attempt)
        return results

    def _first(self, length: int) -> Fingerprint:
        """Ask for the first range; the answer's headers describe the file."""
        (answer,) = self._persist(
            [length], lambda items: [get_first(self._fs, self._name, items[0], self._largest)]
        )
        self._cost.bytes_read += len(answer.data)
        self.head = [(0, answer.data)] if answer.data else []
        return Fingerprint(answer.size, answer.mtime, answer.etag)

    def _info(self) -> Fingerprint:
        (info,) = self._persist([self._name], lambda items: [self._fs.info(items[0])])
        if info.get("type") == "directory":
            raise SourceError("a directory, not a file", url=self.url)
        if info.get("size") is None:
            raise SourceError(
                "the store does not tell the file's size", url=self.url, hint="download the file"
            )
        etag = info.get("ETag") or info.get("etag")
        return Fingerprint(int(info["size"]), _mtime(info), _bare(str(etag)) if etag else None)


def _bare(etag: str) -> str:
    return etag[1:-1] if len(etag) > 1 and etag[0] == etag[-1] == '"' else etag


def _mtime(info: Mapping[str, Any]) -> float | None:
    """Return the time of the last modification, in whichever way a store tells it."""
    names = ("mtime", "LastModified", "last_modified", "Last-Modified", "modified", "created")
    for stamp in (info[name] for name in names if info.get(name)):
        if isinstance(stamp, int | float):
            return float(stamp)
        if hasattr(stamp, "timestamp"):
            return float(stamp.timestamp())
        if isinstance(stamp, str):
            return http_time(stamp)
    return None


def _speaks_http(fs: Any) -> bool:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "https" in protocols and hasattr(fs, "set_session") and hasattr(fs, "encode_url")


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def may_pass(error: Exception) -> bool:
    """Whether asking again may help."""
    status = _status(error)
    return status in PASSING if status is not None else not isinstance(error, _LASTING)


def _fail(error: Exception, url: str) -> NoReturn:
    if isinstance(error, RefmakerError):
        raise error
    raise explained(error, url) from error


def explained(error: Exception, url: str) -> RefmakerError:
    """Return the error of this package that says what a store's error means."""
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError("no such file", url=url)
    status = _status(error)
    if isinstance(error, PermissionError) or status in (401, 403):
        what = f"access denied (HTTP {status})" if status else f"access denied ({error})"
        return SourceError(what, url=url, hint="give credentials as storage options")
    if status is not None:
        return SourceError(f"the server answered {status} {getattr(error, 'message', '')}", url=url)
    if isinstance(error, ImportError):
        return _missing(error, url)
    if type(error).__name__ == "ClientPayloadError":
        return TruncatedError("the server broke off in the middle of an answer", url=url)
    return SourceError(f"{type(error).__name__}: {error}", url=url)


def _missing(error: ImportError, url: str) -> MissingDependencyError:
    protocol = url.partition("://")[0].rpartition("::")[2]
    extra = _EXTRAS.get(protocol)
    return MissingDependencyError(
        f"reading {protocol}:// needs a package that is not installed: {error}",
        url=url,
        hint=f"pip install 'refmaker[{extra}]'" if extra else "install the package named",
    )


def _filesystem(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        fs, name = url_to_fs(url, **storage_options)
    except Exception as error:  # noqa: BLE001 - the edge to libraries of other people
        # Every store has its own way to refuse options, credentials or a URL.
        _fail(error, url)
    return fs, name
