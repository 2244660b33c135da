"""Names of templates: from the table of ecCodes' definitions, else from ecCodes itself.

The library is asked where the table does not say, in a process of its own where that is the first
use of it.
What ecCodes loads for names takes more memory than the rest of a scan (35 MiB for long names
alone) and is never given back; and sections that make it abort would take the scan along. So a
process of its own is asked, which ends when nobody asks for a while, and what it says is kept for
the files that follow. Where ecCodes is loaded already it is asked on the spot.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from refmaker.codecs.native_libraries import load_proj_before_eccodes
from refmaker.scanners.grib.names import Names, Sections, names_of, numeric
from refmaker.scanners.grib.names_table import table_names

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["forget", "lookup_names", "main"]

logger = logging.getLogger("refmaker.grib")

_CACHE = 16384
"""Answers that are kept."""
_DEATHS = 3
"""Templates that ecCodes does not survive, after which the rest of a file gets numbers."""
_PATIENCE = 60
"""Seconds for one answer; the first takes half a second."""
_IDLE = 5.0
"""Seconds without a question after which the process ends."""
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from refmaker.scanners.grib.eccodes_process import main; main(float(sys.argv[2]))"
)

_known: dict[Hashable, Names] = {}


def lookup_names(templates: Sequence[tuple[Hashable, Sections]]) -> list[Names]:
    """Return what the fields of each template are called; answers are kept.

    Parameters
    ----------
    templates : sequence of (hashable, Sections)
        A key that is equal for fields of one template, whatever their times and levels, and
        the sections of one of them.
    """
    new = {key: sections for key, sections in templates if key not in _known}
    if len(_known) + len(new) > _CACHE:
        _known.clear()
        new = dict(templates)
    told = {key: table_names(sections) for key, sections in new.items()}
    _known.update({key: names for key, names in told.items() if names is not None})
    left = {key: sections for key, sections in new.items() if told[key] is None}
    _known.update(zip(left, _answers(list(left.values())), strict=True))
    return [_known[key] for key, _ in templates]


def forget() -> None:
    """Forget all answers."""
    _known.clear()


def _answers(asked: Sequence[Sections]) -> list[Names]:
    """Ask where it costs least."""
    if not asked:
        return []
    # What is in the table of modules is loaded, or kept from being loaded.
    if "eccodes" in sys.modules or not sys.executable or getattr(sys, "frozen", False):
        return _here(asked)
    if find_spec("eccodes") is None:
        return [numeric(sections) for sections in asked]
    found: list[Names] = []
    deaths = 0
    for sections in asked:
        try:
            names = _asker.ask(sections) if deaths < _DEATHS else None
        except OSError as error:
            logger.info("no process to ask ecCodes in, asked here: %s", error)
            return found + _here(asked[len(found) :])
        if names is None and deaths < _DEATHS:
            deaths += 1
            logger.warning("ecCodes does not survive a template, which gets a number for a name")
        found.append(numeric(sections) if names is None else names)
    return found


def _here(asked: Sequence[Sections]) -> list[Names]:
    """Ask in this process."""
    load_proj_before_eccodes()
    return [names_of(sections) for sections in asked]


class _Asker:
    """The process that is asked, started when it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, sections: Sections) -> Names | None:
        """Return names; None if the process died of the question, or never answered it.

        Raises
        ------
        OSError
            If no process can be started.
        """
        question = [part.hex() if isinstance(part, bytes) else part for part in sections]
        with self._lock:
            while True:
                line = self._line(json.dumps(question).encode() + b"\n")
                if line.endswith(b"\n"):
                    values = json.loads(line)
                    names = Names(*values)
                    # JSON has lists only.
                    return names._replace(step=None if names.step is None else (*names.step,))
                # One that ended of idleness the very moment is no death.
                if self._end() != 0:
                    return None

    def _line(self, question: bytes) -> bytes:
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process without pipes")
        patience = threading.Timer(_PATIENCE, process.kill)
        patience.start()
        try:
            process.stdin.write(question)
            process.stdin.flush()
            return process.stdout.readline()
        except BrokenPipeError:
            return b""
        finally:
            patience.cancel()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-c", _CODE, json.dumps(sys.path), str(_IDLE)]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and code from above
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return self._process

    def _end(self) -> int:
        """Wait for the end of the process; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return process.wait()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def leave(self) -> None:
        """Forget the process of the process that this one was forked from."""
        if self._process is not None:
            self._process.returncode = 0
        self._process, self._lock = None, threading.Lock()


_asker = _Asker()
atexit.register(_asker.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_asker.leave)


def main(idle: float) -> None:
    """Answer lines of sections on standard input by lines of names on standard output.

    Parameters
    ----------
    idle : float
        Seconds without a line after which the process ends, with exit code 0.
    """
    end = threading.Timer(idle, os._exit, (0,))
    for line in sys.stdin:
        end.cancel()
        edition, discipline, *parts = json.loads(line)
        sections = Sections(edition, discipline, *map(bytes.fromhex, parts))
        sys.stdout.write(json.dumps(names_of(sections)) + "\n")
        sys.stdout.flush()
        end = threading.Timer(idle, os._exit, (0,))
        end.daemon = True
        end.start()
