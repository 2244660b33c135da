"""The one worker: a process that calls functions one after another, and may die without harm.

Scanning, verifying and asking native libraries all run in it. It is started in one of two ways:

fork
    Where this process has exactly one thread, on Linux: libraries that are loaded here are loaded
    there, and starting costs some milliseconds.
child
    Everywhere else: another Python that is given this one's module path and runs nothing but the
    worker. The script that started this process is never run again.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from refmaker.errors import RefmakerError, WorkerError
from refmaker.scanning.pipe import Pipe, pipe_of, pipes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Self

__all__ = [
    "MEMORY",
    "TIMEOUT",
    "Worker",
    "WorkerNotStartedError",
    "can_fork",
    "main",
    "memory",
    "shared",
]

log = logging.getLogger("refmaker.scanning.worker")

TIMEOUT = 1800.0
"""Seconds that a worker gets for one call where nobody says otherwise."""
MEMORY = 4 * 1024**3
"""Bytes that a worker may take beyond those that it starts with, where the system can limit them
(Linux); the variable `MEMORY_VARIABLE` decides first."""
MEMORY_VARIABLE = "REFMAKER_WORKER_MEMORY"
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from refmaker.scanning.worker import main; main(*json.loads(sys.argv[2]))"
)
_GRACE = 5
"""Seconds for a process to end that has closed its pipe."""

_open: WeakSet[Pipe] = WeakSet()
"""This process's ends of the pipes to its workers: one that is forked must not hold them."""


class WorkerNotStartedError(WorkerError):
    """A worker process did not come to its first call: no file is to blame."""


_received: list[bytes] = []
"""In a worker, what its calls share."""


def shared() -> bytes:
    """Return what the worker that this process is was given for all of its calls."""
    return _received[-1] if _received else b""


def memory() -> int:
    """Return how many bytes a worker may take beyond those that it starts with.

    Raises
    ------
    WorkerNotStartedError
        If the variable that says so is no number.
    """
    chosen = os.environ.get(MEMORY_VARIABLE)
    if not chosen:
        return MEMORY
    if not chosen.isdecimal():
        raise WorkerNotStartedError(
            f"{MEMORY_VARIABLE} is {chosen!r}, not a number of bytes", hint="such as 8589934592"
        )
    return int(chosen)


def can_fork() -> bool:
    """Tell whether this process can be forked: on Linux, while it has one thread.

    A lock that another thread holds would never be given back in the forked process.
    """
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


class Worker:
    """A process that calls functions one after another, and may die without harm.

    Use as a context manager. A worker that died or hung is replaced at the next call.

    Parameters
    ----------
    idle : float, optional
        Seconds without a call after which the process ends of itself; never by default.
    shared : bytes, optional
        What every call needs: sent once to each process, where `shared` returns it.

    Attributes
    ----------
    sent : int
        Bytes of the last call.
    """

    def __init__(self, idle: float | None = None, shared: bytes | None = None) -> None:
        self._idle = idle
        self._shared = shared
        self._process: Any = None
        self._pipe: Pipe | None = None
        self._ready = False
        self._owner = 0
        self.sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A thread that kept a worker for itself has ended. When Python does, the pipe is closed,
        # which the worker takes for its end.
        if not sys.is_finalizing():
            self.close()

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        name: str = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a function in the worker, and wait for what it returns.

        Parameters
        ----------
        function : callable
            A function of a module, which the other process can import.
        *args, **kwargs
            What it is given; all of it can be pickled.
        name : str
            The file that it is about, for messages.
        timeout : float, optional
            Seconds that it may take; 1800 by default.

        Raises
        ------
        WorkerError
            If the process died, or did not answer in time.
        RefmakerError
            If the function did.
        """
        limit = TIMEOUT if timeout is None else timeout
        while True:
            try:
                return self._run(name, limit, function, *args, **kwargs)
            except _IdleEndError:
                log.debug("a worker ended of idleness the very moment that it was asked")

    def _run(
        self, name: str, limit: float, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        pipe = self.post(name, function, *args, **kwargs)
        if not self._ready:
            # Loading Python takes its time, which is not the call's.
            self.receive(name)
        try:
            answered = pipe.poll(limit)
        except BaseException:
            # Whatever comes now through the pipe would be taken for the next call's answer.
            self.close()
            raise
        if not answered:
            raise self.overdue(name, limit)
        return self.receive(name)

    def post(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pipe:
        """Ask for a call, and return the pipe through which the answer will come.

        Parameters
        ----------
        name : str
            The file that it is about.
        function, *args, **kwargs
            As in `run`.

        Raises
        ------
        WorkerError
            If the process cannot be started, or has died.
        """
        import pickle

        if self._owner != os.getpid():
            self._leave()
        fresh = self._pipe is None
        pipe = self._pipe or self._start(name)
        try:
            if fresh:
                pipe.send(self._shared or b"")
            message = pickle.dumps((name, function, args, kwargs), pickle.HIGHEST_PROTOCOL)
            self.sent = len(message)
            pipe.send(message)
        except ConnectionError as error:
            raise self._died(name) from error
        except BaseException:
            # What cannot be pickled, and Ctrl-C: a part of the call may be in the pipe.
            self.close()
            raise
        return pipe

    def receive(self, name: str) -> Any:
        """Wait for what the process says next.

        Parameters
        ----------
        name : str
            The file that it was asked about, for messages.

        Returns
        -------
        object
            What the call returned; None if the process has only now begun to work.

        Raises
        ------
        WorkerError
            If the process died.
        RefmakerError
            If the call did.
        """
        import pickle

        assert self._pipe is not None, "nothing was asked for"  # noqa: S101 - a bug of the caller
        try:
            done, result = pickle.loads(self._pipe.receive())  # noqa: S301 - of our own process
        except (EOFError, ConnectionError) as error:
            raise self._died(name) from error
        except BaseException:
            # Exceptions of other packages that cannot be unpickled, and Ctrl-C: the rest of the
            # answer would be taken for the next one.
            self.close()
            raise
        if done is None:
            self._ready = True
        elif not done:
            raise result
        return result

    def overdue(self, name: str, limit: float) -> WorkerError:
        """Stop the process, and return the error that says why."""
        self.close()
        return WorkerError(
            f"it did not end within {limit:g} s",
            url=name or None,
            hint="raise `timeout`, or leave the file out",
        )

    @property
    def working(self) -> bool:
        """Whether the process has begun to work; loading Python takes its time."""
        return self._ready

    def _start(self, name: str) -> Pipe:
        """Start a process in the cheapest way that is safe here."""
        bound = memory()
        try:
            ours, theirs = pipes()
        except OSError as error:
            raise self._unborn(name, error) from error
        _open.add(ours)
        try:
            start = _forked if can_fork() else _child
            self._process = start(theirs, self._idle, bound)
        except OSError as error:
            ours.close()
            raise self._unborn(name, error) from error
        finally:
            theirs.close()
        self._pipe = ours
        self._owner = os.getpid()
        return ours

    def _died(self, name: str) -> WorkerError:
        if not self._ready:
            return self._unborn(name, EOFError("it ended at once"))
        words = self._last_words()
        kind = _IdleEndError if self._idle is not None and words == "exit code 0" else WorkerError
        return kind(
            f"the worker process died ({words})",
            url=name or None,
            hint="the file is probably damaged; the others are not affected",
        )

    def _unborn(self, name: str, error: Exception) -> WorkerError:
        return WorkerNotStartedError(
            f"the worker process did not start ({self._last_words()}: {error})",
            url=name or None,
            hint="`isolate='never'` does without",
        )

    def _last_words(self) -> str:
        """Clear a dead process away; return what it died of."""
        import subprocess

        code = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_GRACE)
        self.close()
        if code is not None and code < 0:
            return f"signal {-code}" + (", perhaps for lack of memory" if code == -9 else "")
        return "no exit code" if code is None else f"exit code {code}"

    def close(self) -> None:
        """Stop the process."""
        if self._owner != os.getpid():
            self._leave()
        self._ready = False
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _leave(self) -> None:
        """Forget the process of the process that this one was forked from."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            # What subprocess would otherwise wait for is no child of this process.
            self._process.returncode = 0
        self._ready, self._pipe, self._process = False, None, None


class _IdleEndError(WorkerError):
    """A worker ended because nobody had asked it for a while."""


def _child(theirs: Pipe, idle: float | None, bound: int) -> Any:
    """Start another Python that runs nothing but the worker."""
    import json
    import subprocess

    if not sys.executable or getattr(sys, "frozen", False):
        raise OSError("this Python cannot start another one")
    number, how = theirs.to_inherit()
    told = json.dumps([number, idle, bound])
    # What this process was given as options of Python's own matters there too.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001
    return subprocess.Popen(  # noqa: S603 - this interpreter and code from above
        [sys.executable, *flags, "-c", _CODE, json.dumps(sys.path), told],
        stdin=subprocess.DEVNULL,
        # Only results belong to standard output, and libraries print what they like.
        stdout=_error_stream(),
        **how,
    )


def _error_stream() -> int:
    """Return the descriptor of standard error, or one that takes anything."""
    import subprocess

    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2


class _Forked:
    """A forked process, with as much of `subprocess.Popen` as a worker needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        import signal

        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal."""
        import time

        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, 0 if end is None else os.WNOHANG)
            except ChildProcessError:
                # Somebody else has cleared it away, as a handler of SIGCHLD may.
                self.returncode = 0
                break
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif end is not None and time.monotonic() > end:
                import subprocess

                raise subprocess.TimeoutExpired("worker", timeout or 0)
            else:
                time.sleep(0.002)
        return self.returncode


def _forked(theirs: Pipe, idle: float | None, bound: int) -> _Forked:
    """Start the worker as a copy of this process."""
    # Both processes need it: here it is loaded for both.
    import signal  # noqa: F401

    pid = os.fork()
    if pid:
        return _Forked(pid)
    code = 1
    try:
        # What came with the copy stays; to look through it again and again would copy its pages.
        gc.freeze()
        for pipe in _open:
            pipe.close()
        # Only results belong to standard output, and libraries print what they like.
        with suppress(OSError):
            os.dup2(2, 1)
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _serve(theirs, idle, bound)
        code = 0
    finally:
        # Nothing that was to happen at the end of the process that was copied happens here.
        os._exit(code)


def main(number: int, idle: float | None, bound: int) -> NoReturn:
    """Answer calls until the other end closes; what the other Python runs.

    Parameters
    ----------
    number : int
        The descriptor, or handle, of the pipe.
    idle : float, optional
        Seconds without a call after which to end.
    bound : int
        Bytes of memory that may be taken.
    """
    _serve(pipe_of(number), idle, bound)
    os._exit(0)


def _serve(pipe: Pipe, idle: float | None, bound: int) -> None:
    """Answer calls until the other end closes."""
    import pickle
    import signal

    # Ctrl-C reaches the whole group of processes; the other end answers it by stopping this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit_memory(bound)
    with suppress(EOFError, ConnectionError):
        pipe.send(pickle.dumps((None, None)))
        _received.append(pipe.receive())
        while idle is None or pipe.poll(idle):
            pipe.send(_answer(pipe.receive()))


def _limit_memory(bound: int) -> None:
    """Let this process take so much more memory than it has; only Linux knows how."""
    if sys.platform != "linux":
        return
    import resource

    try:
        with open("/proc/self/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file if b":" in line)
        now = int(lines[b"VmData"].split()[0]) * 1024
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = now + bound
        # Memory that is its own and written to, not files that it maps.
        soft = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
    except (OSError, KeyError, ValueError):
        log.info("the memory of this worker is not limited", exc_info=True)


def _answer(asked: bytes) -> bytes:
    """Call what is asked for; return the pickled result or error."""
    import pickle

    name = ""
    try:
        name, function, args, kwargs = pickle.loads(asked)  # noqa: S301 - of the process above
        return pickle.dumps((True, function(*args, **kwargs)), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        error: Exception = _out_of_memory(name)
    except RefmakerError as problem:
        error = problem
        if isinstance(problem.__cause__ or problem.__context__, MemoryError):
            error = _out_of_memory(name)
    except Exception as problem:
        # The edge of the process: it tells what it cannot handle, and lives on.
        log.debug("%s", name, exc_info=True)
        error = WorkerError(f"{type(problem).__name__}: {problem}", url=name or None)
    return pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)


def _out_of_memory(name: str) -> WorkerError:
    return WorkerError(
        f"it ran out of memory, of which a worker gets {memory() / 1024**3:.3g} GiB",
        url=name or None,
        hint=f"give it more by the variable {MEMORY_VARIABLE}, in bytes",
    )
