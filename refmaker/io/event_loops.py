"""Event loops in which requests run: fsspec's own, and Zarr's, which last as long as a process.

A session of HTTP belongs to the loop that it was made in. Going over to another loop and back
costs more than all else that is done for a request; but a loop of the user's may end before
its sessions do.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["in_lasting", "wait"]


async def in_lasting(work: Coroutine[Any, Any, Any], *, own: bool = False) -> Any:
    """Await something in the loop that runs, if that lasts, else in fsspec's.

    Parameters
    ----------
    work : coroutine
    own : bool
        Whether it has to be fsspec's, since what is asked belongs to that.
    """
    from fsspec.asyn import get_loop

    here, loop = asyncio.get_running_loop(), get_loop()
    if here is loop or (here is _loop_of_zarr() and not own):
        return await work
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def wait(work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run something in fsspec's event loop, from a thread that may wait for it."""
    from fsspec.asyn import get_loop, sync

    return sync(get_loop(), work, *args)


def _loop_of_zarr() -> Any:
    """Return the loop in which Zarr waits for its stores; None where it is not loaded."""
    return getattr(sys.modules.get("zarr.core.sync"), "loop", (None,))[0]
