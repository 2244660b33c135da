"""Asking ecCodes about templates, in a process of its own where that is the first use of it.

What ecCodes loads for names takes more memory than the rest of a scan (35 MiB for long names
alone) and is never given back; and sections that make it abort would take the scan along. So a
process that lives for a moment asks about all new templates of a file, and what it says is kept
for the files that follow. Where ecCodes is loaded already it is asked on the spot.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from refmaker.libraries import load_proj_before_eccodes
from refmaker.scanners.grib.names import Names, Sections, names_of, numeric

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["ask", "forget", "main"]

logger = logging.getLogger("refmaker.grib")

_CACHE = 16384
"""Answers that are kept."""
_TRIES = 3
"""Processes started at most, if some templates are the death of ecCodes."""
_PATIENCE = 120
"""Seconds after which a process is given up; thousands of templates take one second."""
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from refmaker.scanners.grib.asking import main; main()"
)

_known: dict[Hashable, Names] = {}


def ask(templates: Sequence[tuple[Hashable, Sections]]) -> list[Names]:
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
    _known.update(zip(new, _answers(list(new.values())), strict=True))
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
    for _ in range(_TRIES):
        try:
            found += _from_process(asked[len(found) :])
        except OSError as error:
            logger.info("no process to ask ecCodes in, asked here: %s", error)
            return _here(asked)
        if len(found) == len(asked):
            return found
        logger.warning("ecCodes does not survive a template, which gets a number for a name")
        found.append(numeric(asked[len(found)]))
    return found + [numeric(sections) for sections in asked[len(found) :]]


def _here(asked: Sequence[Sections]) -> list[Names]:
    """Ask in this process."""
    load_proj_before_eccodes()
    return [names_of(sections) for sections in asked]


def _from_process(asked: Sequence[Sections]) -> list[Names]:
    """Return the answers of another process, up to the one that it did not survive."""
    lines = [json.dumps(sys.path)]
    lines += [json.dumps([p.hex() if isinstance(p, bytes) else p for p in s]) for s in asked]
    command = [sys.executable, "-I", "-c", _CODE]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and code that stands above
            command, input="\n".join(lines).encode(), capture_output=True, check=False,
            timeout=_PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    else:
        output = done.stdout
        if done.returncode:
            logger.info("asking ecCodes ended with %s: %r", done.returncode, done.stderr[-500:])
    # A line without its end was cut off.
    return [_names(json.loads(line)) for line in output.splitlines(keepends=True) if b"\n" in line]


def _names(values: list[Any]) -> Names:
    found = Names(*values)
    return found._replace(step=None if found.step is None else (found.step[0], found.step[1]))


def main() -> None:
    """Answer what stands on standard input: lines of sections, answered by lines of names."""
    for line in sys.stdin:
        edition, discipline, *parts = json.loads(line)
        sections = Sections(edition, discipline, *map(bytes.fromhex, parts))
        sys.stdout.write(json.dumps(names_of(sections)) + "\n")
        sys.stdout.flush()
