# ruff: noqa: ARG002 - the parent class says what methods are given
"""References as an fsspec filesystem, protocol ``refmaker``.

It stands in for fsspec's own ``reference``: the same documents, the same calls, and none of
the surprises. Registered by entry point, it also chains: ``refmaker::s3://bucket/cube.json``.
"""

from __future__ import annotations

import asyncio
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AsyncFileSystem, get_loop, sync
from fsspec.implementations.reference import ReferenceFileSystem

from refmaker.errors import UnsupportedError
from refmaker.reading.planner import Plan
from refmaker.reading.reader import Options, Reader, open_reader
from refmaker.storage.json_parser import references_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RefmakerFileSystem"]


class RefmakerFileSystem(ReferenceFileSystem):  # type: ignore[misc]
    """View the byte ranges that a reference set describes as files; read-only.

    Parameters
    ----------
    fo : str, os.PathLike, mapping or Reader
        Path or URL of a reference document (JSON of version 0 or 1, also compressed, or a
        folder of Parquet files), or a parsed document.
    target_protocol : str, optional
        Protocol of `fo`, where it names none.
    target_options : mapping, optional
        Passed to fsspec for `fo`.
    remote_protocol : str, optional
        The only protocol that the document may name.
    remote_options : mapping, optional
        Passed to fsspec for the files: for all of them, or by protocol or prefix.
    template_overrides : mapping, optional
        Templates used in place of those of a parsed document.
    max_gap, max_block : int, optional
        Bytes between two ranges, and of a merged range, up to which requests are merged.
    verify_sources, allow, codecs, cache, cache_bytes
        As for `refmaker.open_store`.
    **kwargs
        Passed to the parent class: ``asynchronous``, ``loop``.

    Raises
    ------
    SourceError, MetadataError, LimitError, UnsupportedError
        As for `refmaker.open_store`.

    Notes
    -----
    `fs` and `target` of the parent class are not taken: filesystems are made for the
    protocols that are named, and with options that the policy gives them.
    """

    protocol = "refmaker"
    cachable = False

    def __init__(  # noqa: PLR0913 - as inherited
        self,
        fo: Any,
        *,
        target_protocol: str | None = None,
        target_options: Mapping[str, Any] | None = None,
        ref_storage_args: Mapping[str, Any] | None = None,
        remote_protocol: str | None = None,
        remote_options: Mapping[str, Any] | None = None,
        template_overrides: Mapping[str, str] | None = None,
        max_gap: int | None = None,
        max_block: int | None = None,
        verify_sources: str = "size",
        allow: Sequence[str] | None = None,
        codecs: Sequence[str] = (),
        cache: str | None = None,
        cache_bytes: int = 10 * 1024**3,
        **kwargs: Any,
    ) -> None:
        for name in ("fs", "target"):
            if kwargs.pop(name, None) is not None:
                raise UnsupportedError(f"{name}= is not taken here", hint="give `remote_options`")
        for name in ("simple_templates", "cache_size"):
            kwargs.pop(name, None)
        # The parent's own way to begin reads the document in ways that are to be avoided.
        AsyncFileSystem.__init__(self, **kwargs)
        if allow is None and remote_protocol is not None:
            allow = (remote_protocol,)
        plan = {"gap": max_gap, "block": max_block}
        options = Options(
            storage_options=dict(remote_options or {}),
            verify_sources=verify_sources,
            allow=None if allow is None else tuple(allow),
            codecs=tuple(codecs),
            plan=Plan(**{name: value for name, value in plan.items() if value is not None}),
            cache=cache,
            cache_bytes=cache_bytes,
        )
        if isinstance(fo, Reader):
            self.reader = fo
        elif isinstance(fo, str | os.PathLike):
            url = os.fspath(fo)
            if target_protocol not in (None, "file") and "://" not in url:
                url = f"{target_protocol}://{url}"
            self.reader = open_reader(url, target_options or ref_storage_args, options)
        else:
            references = references_of(fo, limits=options.limits, templates=template_overrides)
            self.reader = Reader(references, None, options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.reader, self.asynchronous)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RefmakerFileSystem) and self.reader == other.reader

    def __hash__(self) -> int:
        return hash((type(self), self.reader.origin))

    @property
    def fsid(self) -> str:
        """Name of the set that is viewed."""
        return f"refmaker-{self.reader.origin}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return os.fspath(path).removeprefix("refmaker://").strip("/")

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        name = self._strip_protocol(path)
        data = await self.reader.read(name, start, end)
        if data is None:
            raise FileNotFoundError(path)
        return bytes(data)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the bytes of one key, or a slice of them."""
        data: bytes = self._wait(self._cat_file, path, start, end)
        return data

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        count = len(paths)
        starts = starts if isinstance(starts, list) else [starts] * count
        ends = ends if isinstance(ends, list) else [ends] * count
        names = [self._strip_protocol(path) for path in paths]
        got = await self.reader.read_many(list(zip(names, starts, ends, strict=True)))
        answers = [
            FileNotFoundError(path) if data is None else data
            for path, data in zip(paths, got, strict=True)
        ]
        if on_error == "raise":
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
        return [a if isinstance(a, BaseException) else bytes(a) for a in answers]

    def cat_ranges(self, paths: list[str], starts: Any, ends: Any, **kwargs: Any) -> list[Any]:
        """Return many keys or slices of them; near ones are fetched together."""
        answers: list[Any] = self._wait(self._cat_ranges, paths, starts, ends, **kwargs)
        return answers

    async def _cat(
        self,
        path: Any,
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        listed = isinstance(path, list)
        paths = await self._expand_path(path, recursive=recursive)
        paths = [name for name in paths if not self.isdir(name)] if recursive else paths
        got = await self._cat_ranges(paths, None, None)
        found: dict[str, Any] = {}
        for name, data in zip(paths, got, strict=True):
            if isinstance(data, BaseException):
                if on_error == "raise":
                    raise data
                if on_error == "omit":
                    continue
            found[name] = data
        if listed or recursive or len(paths) != 1 or paths[0] != self._strip_protocol(path):
            return found
        return found.get(paths[0])

    def cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any
    ) -> Any:
        """Return the bytes of one key, or of many as a dict."""
        return self._wait(self._cat, path, recursive=recursive, on_error=on_error)

    def _wait(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        """Run something in fsspec's event loop: also where another one runs, and after a fork."""
        return sync(get_loop(), work, *args, **kwargs)

    def ls(self, path: str = "", detail: bool = True, **kwargs: Any) -> list[Any]:
        """Return what lies directly in a folder."""
        name = self._strip_protocol(path)
        found = self.reader.references.children(name)
        if found is None:
            if self.reader.locate(name) is None:
                raise FileNotFoundError(path)
            return [self.info(name)] if detail else [name]
        start = f"{name}/" if name else ""
        folders = [f"{start}{below}" for below in found[0]]
        files = [f"{start}{below}" for below in found[1]]
        if not detail:
            return [*folders, *files]
        return [
            *({"name": below, "type": "directory", "size": 0} for below in folders),
            *({"name": below, "type": "file", "size": self._size_here(below)} for below in files),
        ]

    def _size_here(self, name: str) -> int | None:
        """Return a size as far as it is known without asking anybody."""
        found = self.reader.locate(name)
        if isinstance(found, bytes):
            return len(found)
        return None if found is None else found.length

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        found = await asyncio.to_thread(self.ls, path, detail)
        if detail:
            return found
        # Zarr's store takes away what it put before the path; names that lack it stay whole.
        lead = path[: len(path) - len(path.lstrip("/"))]
        return [f"{lead}{name}" for name in found] if path.strip("/") else found

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        name = self._strip_protocol(path)
        size = await self.reader.size(name)
        if size is not None:
            return {"name": name, "type": "file", "size": size}
        if self.isdir(name):
            return {"name": name, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return name, type and size of a key or folder."""
        found: dict[str, Any] = self._wait(self._info, path)
        return found

    def isdir(self, path: str) -> bool:
        """Whether there are keys below."""
        return self.reader.references.children(self._strip_protocol(path)) is not None

    def isfile(self, path: str) -> bool:
        """Whether there is such a key."""
        return self.reader.locate(self._strip_protocol(path)) is not None

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is such a key or folder."""
        return self.isfile(path) or self.isdir(path)

    async def _isdir(self, path: str) -> bool:
        return self.isdir(path)

    async def _isfile(self, path: str) -> bool:
        return self.isfile(path)

    async def _exists(self, path: str, **kwargs: Any) -> bool:
        return self.exists(path)

    async def _find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any
    ) -> Any:
        # What is inherited asks the parent class, which keeps its references elsewhere.
        return await AsyncFileSystem._find(  # noqa: SLF001
            self, path, maxdepth=maxdepth, withdirs=withdirs, **kwargs
        )

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any
    ) -> Any:
        """Return all keys below a folder, in order."""
        return self._wait(self._find, path, maxdepth=maxdepth, withdirs=withdirs, **kwargs)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> BytesIO:
        if mode != "rb":
            raise UnsupportedError("a reference set cannot be written through", path=path)
        return BytesIO(self.cat_file(path))

    async def _get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        data = await self._cat_file(rpath)
        await asyncio.to_thread(_put, lpath, data)

    def get_file(self, rpath: str, lpath: Any, **kwargs: Any) -> None:
        """Write one key to a local file."""
        self._wait(self._get_file, rpath, lpath)

    def get(self, rpath: Any, lpath: Any, recursive: bool = False, **kwargs: Any) -> Any:
        """Write keys to local files, none of them outside of `lpath`."""
        return self._wait(AsyncFileSystem._get, self, rpath, lpath, recursive=recursive)  # noqa: SLF001

    def pipe_file(self, path: str, value: Any, **kwargs: Any) -> None:
        """Refuse to write.

        Raises
        ------
        UnsupportedError
        """
        raise UnsupportedError("a reference set cannot be written through", path=path)

    async def _pipe_file(
        self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        self.pipe_file(path, value)

    async def _put_file(
        self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        self.pipe_file(rpath, lpath)

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        self.pipe_file(path, b"")

    def save_json(self, url: str, **storage_options: Any) -> None:
        """Refuse: sets are written by `refmaker.write`.

        Raises
        ------
        UnsupportedError
        """
        raise UnsupportedError("this view is not written back", hint="use refmaker.write", url=url)


def _put(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def _restore(reader: Reader, asynchronous: bool) -> RefmakerFileSystem:
    return RefmakerFileSystem(reader, asynchronous=asynchronous)
