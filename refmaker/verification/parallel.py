"""Comparing in this process, or in several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.verification.compare import ArrayCheck, compare_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refmaker.storage.reference_set import ReferenceSet

    Work = Sequence[tuple[str, Sequence[int]]]

__all__ = ["compare", "compare_apart"]

_BATCH = 32
"""Chunks of one array that are compared between two words on progress."""

_OPENED: dict[str, Any] = {}
"""What a process for comparing holds open."""


def compare(
    refs: ReferenceSet,
    work: Work,
    storage_options: Mapping[str, Any] | None,
    tell: Callable[[int, int], None],
) -> list[ArrayCheck]:
    """Compare chunks here; one check for each array, in the order of `work`."""
    from refmaker.reading.open import open_arrays
    from refmaker.verification.oracle import open_oracle

    total, done = sum(len(numbers) for _, numbers in work), 0
    store = open_arrays(refs, storage_options, verify_sources="off")
    arrays = dict(refs.group.arrays())
    checks = []
    with open_oracle(refs, storage_options) as native:
        for path, numbers in work:
            check: ArrayCheck | None = None
            for batch in _batches(numbers):
                part = compare_array(path, arrays[path], store, native, batch)
                check = part if check is None else check + part
                done += len(batch)
                tell(done, total)
            checks.append(check or ArrayCheck(path, arrays[path].chunks.size))
    return checks


def compare_apart(
    refs: ReferenceSet,
    work: Work,
    storage_options: Mapping[str, Any] | None,
    tell: Callable[[int, int], None],
    jobs: int,
) -> list[ArrayCheck]:
    """Compare chunks in processes of their own; otherwise as `compare`."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    total, done = sum(len(numbers) for _, numbers in work), 0
    arrays = dict(refs.group.arrays())
    found = {path: ArrayCheck(path, arrays[path].chunks.size) for path, _ in work}
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (refs, storage_options)) as pool:
        futures = {
            pool.submit(_compare, path, batch): len(batch)
            for path, numbers in work
            for batch in _batches(numbers)
        }
        for future in as_completed(futures):
            part = future.result()
            found[part.path] += part
            done += futures[future]
            tell(done, total)
    return [found[path] for path, _ in work]


def _batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[at : at + _BATCH] for at in range(0, len(numbers), _BATCH)]


def _start(refs: ReferenceSet, storage_options: Mapping[str, Any] | None) -> None:
    """Open a set and its files in a new process, which keeps them until it ends."""
    from contextlib import ExitStack

    from refmaker.reading.open import open_arrays
    from refmaker.verification.oracle import open_oracle

    stack = ExitStack()
    native = stack.enter_context(open_oracle(refs, storage_options))
    store = open_arrays(refs, storage_options, verify_sources="off")
    _OPENED.update(arrays=dict(refs.group.arrays()), store=store, native=native, stack=stack)


def _compare(path: str, numbers: Sequence[int]) -> ArrayCheck:
    array = _OPENED["arrays"][path]
    return compare_array(path, array, _OPENED["store"], _OPENED["native"], numbers)
