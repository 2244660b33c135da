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
import logging
import os
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from refmaker.codecs.native_libraries import load_proj_before_eccodes
from refmaker.errors import WorkerError
from refmaker.scanners.grib.names import Names, Sections, names_of, numeric
from refmaker.scanners.grib.names_table import table_names
from refmaker.scanning.worker import Worker, WorkerNotStartedError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["forget", "lookup_names", "unnamed"]

logger = logging.getLogger("refmaker.grib")

_CACHE = 16384
"""Answers that are kept."""
_DEATHS = 3
"""Templates that ecCodes does not survive, after which the rest of a file gets numbers."""
_PATIENCE = 60
"""Seconds for one answer; the first takes half a second."""
_IDLE = 5.0
"""Seconds without a question after which the process ends."""
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


def unnamed(templates: Sequence[Sections]) -> int:
    """Return of how many templates ecCodes would tell the names, were it installed."""
    if find_spec("eccodes") is not None:
        return 0
    return sum(table_names(sections) is None for sections in templates)


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
        except WorkerNotStartedError as error:
            logger.info("no process to ask ecCodes in, asked here: %s", error)
            return found + _here(asked[len(found) :])
        if names is None and deaths < _DEATHS:
            deaths += 1
            logger.warning("ecCodes does not survive a template, which gets a number for a name")
        found.append(numeric(sections) if names is None else names)
    return found


def _here(asked: Sequence[Sections]) -> list[Names]:
    load_proj_before_eccodes()
    return [names_of(sections) for sections in asked]


class _Asker:
    """The worker that is asked, started when it is needed."""

    def __init__(self) -> None:
        self.worker = Worker(idle=_IDLE)
        self._lock = threading.Lock()

    def ask(self, sections: Sections) -> Names | None:
        """Return names; None if the worker died of the question, or never answered it.

        Raises
        ------
        WorkerNotStartedError
            If no process can be started.
        """
        with self._lock:
            try:
                names: Names = self.worker.run(_question, sections, timeout=_PATIENCE)
            except WorkerNotStartedError:
                raise
            except WorkerError as error:
                logger.info("ecCodes tells no names: %s", error)
                return None
            return names

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self.worker.close()

    def leave(self) -> None:
        """In a process that was forked, start anew: another thread may have held the lock."""
        self._lock = threading.Lock()


def _names_apart(sections: Sections) -> Names:
    """Ask in a worker, where nobody wants to see what ecCodes prints."""
    if "eccodes" not in sys.modules:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return names_of(sections)


_question = _names_apart
_asker = _Asker()
atexit.register(_asker.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_asker.leave)
