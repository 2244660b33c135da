"""A filesystem in memory that counts what is asked of it, by the protocol ``counting://``."""

from __future__ import annotations

from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

__all__ = ["CountingFileSystem"]


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory; every batch of ranges is counted.

    Attributes
    ----------
    batches : list of list of (int, int)
        The ranges of each call of ``cat_ranges``, as start and stop.
    faults : list of Exception or None
        Taken from the front, one for each range asked for; an exception is the answer to it.
    """

    protocol = "counting"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    batches: ClassVar[list[list[tuple[int, int]]]] = []
    faults: ClassVar[list[Exception | None]] = []

    @classmethod
    def install(cls, **files: bytes) -> None:
        """Register the protocol, forget all counts and hold these files only."""
        fsspec.register_implementation("counting", cls, clobber=True)
        cls.store.clear()
        cls.batches.clear()
        cls.faults.clear()
        for name, data in files.items():
            cls().pipe_file(f"/{name}", data)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, str):
            path = path.removeprefix("counting://")
        return super()._strip_protocol(path)

    def cat_ranges(self, paths: list[str], starts: Any, ends: Any, **kwargs: Any) -> Any:
        """Count the batch, and answer it."""
        self.batches.append(list(zip(starts, ends, strict=True)))
        faults = [self.faults.pop(0) if self.faults else None for _ in paths]
        answers = super().cat_ranges(paths, starts, ends, **kwargs)
        return [fault or answer for fault, answer in zip(faults, answers, strict=True)]
