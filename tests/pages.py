"""Runs a page of the documentation as a newcomer does: every command, in order, as printed.

A page is a row of steps. Its ``console`` blocks hold commands behind ``$`` and what they print,
``sh`` blocks commands alone, ``python`` blocks code (or the name of a script, between scissors) and
a ``text`` block behind them what that prints. Blocks of other languages are files that are shown.

What is printed has to be what is shown, line by line; a line ``...`` stands for one line or more. A
command below which nothing is shown may print anything. It ends with 0, unless the next one is
``echo $?``, which shows what else. Python may print nothing but what is shown, so no warnings.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]

TASKS = ROOT / "docs" / "tasks"
PERSONAS = [
    TASKS / f"{name}.md"
    for name in (
        "archive-to-cube", "cog-series", "image-pyramid", "forecast", "study", "data-platform",
    )
]  # fmt: skip
OTHERS = [TASKS / f"{name}.md" for name in ("catalog", "check-and-look", "remote")]
RUN = [ROOT / "README.md", ROOT / "docs" / "start.md", *PERSONAS, *OTHERS]
"""Pages all of whose commands run, from a checkout on."""

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SNIPPET = re.compile(r"--8<--\n(.*)\n--8<--\n")
_INSTALL = re.compile(r"pip install ([^&|;\n]+)")
_SERVES = ("refmaker serve ", "refmaker view ", "python -m moto.server ")
"""Commands that go on until the page ends."""
SUITE = "python -m pytest"
"""The command of the README that runs the tests: .ci/run runs it."""
_PROGRESS = re.compile(r"^[\d,]+ of [\d,]+ \w+, .*\n", re.MULTILINE)
"""How far a command has got: it says so where it takes long, as on a busy machine."""
_MARK = "<<the end of a step>>"

_INTERPRETER = f"""
import json, sys, traceback
space = {{"__name__": "__main__"}}
for line in sys.stdin:
    name, code = json.loads(line)
    failed = 0
    try:
        exec(compile(code, name, "exec"), space)
    except BaseException:
        traceback.print_exc()
        failed = 1
    sys.stderr.flush()
    print("\\n{_MARK}", failed, flush=True)
"""

# What is not installed by the commands of a page is neither imported nor found by its metadata.
_HIDE = """
import importlib.machinery, importlib.metadata, json, os, sys

with open(os.environ["PAGES_HIDDEN"]) as file:
    hidden = json.load(file)
modules, distributions = set(hidden["modules"]), set(hidden["distributions"])


class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in modules:
            return None
        return super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
discover = importlib.metadata.Distribution.discover.__func__


@classmethod
def visible(cls, **kwargs):
    return (one for one in discover(cls, **kwargs) if one._normalized_name not in distributions)


importlib.metadata.Distribution.discover = visible
"""


@dataclass(frozen=True)
class Step:
    """A command or a piece of Python, and what it prints according to the page, if that is told."""

    page: str
    line: int
    language: str
    text: str
    shown: str | None = None

    @property
    def at(self) -> str:
        return f"{self.page}:{self.line}"

    def is_shown_by(self, printed: str) -> bool:
        """Tell whether the page shows what was printed: Python prints nothing else."""
        if self.shown is None:
            return self.language != "python" or not printed.strip()
        return same(printed, self.shown)


def steps(path: Path, *, marker: str = "") -> list[Step]:
    """Return the steps of a page, or those of its blocks behind a marker alone."""
    text = path.read_text()
    name = str(path.relative_to(ROOT))
    found: list[Step] = []
    for match in _FENCE.finditer(text):
        language, body = match[1].strip(), match[2]
        line = text.count("\n", 0, match.start()) + 2
        marked = text[: match.start()].endswith(f"{marker}\n") if marker else True
        if language == "text" and found and found[-1].language != "console":
            if found[-1].shown is None and (marked or not marker):
                found[-1] = replace(found[-1], shown=body)
        elif not marked:
            continue
        elif language in ("console", "sh"):
            found += _commands(name, line, language, body)
        elif language == "python":
            script = _SNIPPET.fullmatch(body)
            code = f"python {script[1]}" if script else body
            found.append(Step(name, line, "sh" if script else "python", code))
    return found


def _commands(page: str, first: int, language: str, body: str) -> Iterator[Step]:
    """Yield commands with their continued lines, and the lines that are shown below each."""
    lines = list(enumerate(body.splitlines(keepends=True), first))
    prompt = "$ " if language == "console" else ""
    while lines:
        at, line = lines.pop(0)
        assert line.startswith(prompt), f"{page}:{at}: not behind a $"
        command = line.removeprefix(prompt)
        while command.endswith("\\\n"):
            command += lines.pop(0)[1]
        shown = ""
        while language == "console" and lines and not lines[0][1].startswith("$ "):
            shown += lines.pop(0)[1]
        if command.strip() and not command.startswith("#"):
            yield Step(page, at, language, command, shown or None)


def same(printed: str, shown: str) -> bool:
    """Tell whether the lines are those that are shown, of which ``...`` stands for one or more."""
    pattern = "".join(
        r"(?:[^\n]*\n)+?" if line.strip() == "..." else re.escape(line.rstrip()) + r"[ \t]*\n"
        for line in shown.splitlines()
    )
    printed = _PROGRESS.sub("", printed).rstrip()
    lines = f"{printed}\n" if printed else ""
    return re.fullmatch(pattern, lines) is not None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


@cache
def _modules() -> dict[str, set[str]]:
    """Return top-level modules, with the distributions that they come from."""
    found = metadata.packages_distributions()
    return {module: {_normal(name) for name in names} for module, names in found.items()}


def installed_by(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that pip would install for requirements, if nothing were there."""
    queue = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while queue:
        wanted = queue.pop()
        for extra in {"", *wanted.extras}:
            if (key := (_normal(wanted.name), extra)) in seen:
                continue
            seen.add(key)
            for text in metadata.requires(wanted.name) or ():
                one = Requirement(text)
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    queue.append(one)
    return {name for name, _ in seen}


def requirements_of(command: str) -> list[str]:
    """Return what a ``pip install`` names; the dot of a checkout is refmaker."""
    words = [word for found in _INSTALL.findall(command) for word in shlex.split(found)]
    return [re.sub(r"^\.(?=$|\[)", "refmaker", word) for word in words if word[0] != "-"]


class Environment:
    """What a newcomer has: a checkout, an empty environment and a shell.

    ``fresh`` is the folder of a new virtual environment, into which ``pip`` really installs.
    Without it, the Python that runs this test is used, in which all that ``pip`` was not asked for
    is hidden.
    """

    def __init__(self, folder: Path, *, fresh: Path | None = None, **variables: str) -> None:
        self.folder, self.fresh = folder, fresh
        self.requirements: list[str] = []
        programs = folder.with_name(f"{folder.name}-bin")
        programs.mkdir(parents=True)
        self.variables = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "REFMAKER_CACHE_DIR": str(programs / "cache"),
            "MPLCONFIGDIR": str(programs / "matplotlib"),
            "MPLBACKEND": "agg",
            "BROWSER": "true",  # a program that does nothing
            "PYTHONUNBUFFERED": "1",  # servers say at once where they listen
            **variables,
        }
        if fresh:
            # Bytecode of what is imported alone: that is half the time.
            self.variables["PIP_NO_COMPILE"] = "1"
            self.variables["PATH"] = f"{fresh / 'bin'}{os.pathsep}{os.environ['PATH']}"
            return
        self._hidden = programs / "hidden.json"
        (programs / "sitecustomize.py").write_text(_HIDE)
        self.variables["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.variables["PYTHONPATH"] = f"{programs}{os.pathsep}{ROOT}"
        self.variables["PAGES_HIDDEN"] = str(self._hidden)
        _program(programs / "python", f'exec {shlex.quote(sys.executable)} "$@"')
        _program(programs / "pip", "exit 0")
        _program(programs / "refmaker", "echo refmaker: command not found; exit 127")
        self._hide()

    def install(self, command: str) -> None:
        """Take note of what a command installs."""
        wanted = requirements_of(command)
        if self.fresh or not wanted:
            return
        self.requirements += wanted
        self._hide()

    def _hide(self) -> None:
        there = installed_by(self.requirements)
        everything = {_normal(one.name) for one in metadata.distributions()}
        hidden = [name for name, among in _modules().items() if not among & there]
        self._hidden.write_text(
            json.dumps({"modules": hidden, "distributions": sorted(everything - there)})
        )
        if "refmaker" in there:
            _program(self._hidden.parent / "refmaker", 'exec python -m refmaker "$@"')

    def export(self, command: str) -> None:
        """Set variables for the processes that are started from now on."""
        for word in shlex.split(command)[1:]:
            name, _, value = word.partition("=")
            self.variables[name] = value

    def popen(self, words: list[str], **options) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words, cwd=self.folder, env=self.variables, text=True, stderr=subprocess.STDOUT,
            **options,
        )  # fmt: skip


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


class Session:
    """Runs the steps of a page in an environment: one shell, and one Python."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._piped: dict[str, subprocess.Popen[str]] = {}
        self._serving: list[tuple[Step, subprocess.Popen[str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for step, server in self._serving:
            server.send_signal(signal.SIGINT)
            code = server.wait(30)
            assert code in (0, 130) or raised[0], f"{step.at}: {step.text} ended with {code}"
        for name in list(self._piped):
            self._end(name)

    def run(self, steps: list[Step]) -> None:
        """Run steps in order, and compare what they print with what is shown."""
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if step.text.startswith(_SERVES):
                self._serve(step)
                continue
            printed, code = self.step(step)
            told = following is not None and following.text.strip() == "echo $?"
            assert told or code == 0, f"{step.at}: {step.text}{printed}ended with {code}"
            assert step.is_shown_by(printed), f"{step.at}: {step.text}printed\n{printed}"

    def step(self, step: Step) -> tuple[str, int]:
        """Run one step; return what it printed, and the code that it ended with."""
        if step.language == "python":
            self._start("python", ["python", "-c", _INTERPRETER])
            return self._ask("python", json.dumps([step.at, step.text]) + "\n")
        self._environment.install(step.text)
        if step.text.startswith("export "):
            # Whoever types this has left Python, and starts it again in the new environment.
            self._environment.export(step.text)
            self._end("python")
        self._start("bash", ["bash", "--norc"])
        text = step.text.rstrip("\n")
        return self._ask(
            "bash",
            f"{{ {text}\n}} < /dev/null\n"
            f"pages_code=$?; printf '\\n{_MARK} %d\\n' $pages_code; (exit $pages_code)\n",
        )

    def _start(self, name: str, words: list[str]) -> None:
        if name not in self._piped:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._piped[name] = self._environment.popen(words, **pipes)

    def _end(self, name: str) -> None:
        if process := self._piped.pop(name, None):
            process.stdin.close()
            process.wait(30)
            process.stdout.close()

    def _ask(self, name: str, text: str) -> tuple[str, int]:
        process = self._piped[name]
        process.stdin.write(text)
        process.stdin.flush()
        printed = ""
        for line in process.stdout:
            if line.startswith(_MARK):
                return printed.removesuffix("\n"), int(line.removeprefix(_MARK))
            printed += line
        raise AssertionError(f"{name} ended: {printed}")

    def _serve(self, step: Step) -> None:
        """Start a command that serves until it is interrupted, and ask for the first page."""
        log = self._environment.folder.with_name(f"served-{len(self._serving)}.txt")
        with open(log, "w") as file:
            words = ["bash", "-c", f"exec {step.text}"]
            server = self._environment.popen(words, stdout=file, preexec_fn=_interruptible)
        self._serving.append((step, server))
        until = time.monotonic() + 60
        while not (url := re.search(r"https?://[\w.]+:\d+\S*", log.read_text())):
            assert server.poll() is None, f"{step.at}: {step.text}{log.read_text()}"
            assert time.monotonic() < until, f"{step.at}: {step.text} serves nothing"
            time.sleep(0.05)
        try:
            urllib.request.urlopen(url[0]).close()  # noqa: S310 - our own server
        except urllib.error.HTTPError as error:  # a store has nothing at its root
            assert error.code == 404, step.at  # noqa: PT017
        if step.shown is not None:
            assert same(log.read_text(), step.shown), f"{step.at}: printed\n{log.read_text()}"


def _interruptible() -> None:
    """Let Ctrl-C end a command, also where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def checkout(folder: Path, *under: str) -> None:
    """Copy the files of this checkout, or those under some of its folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *under],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)


def main(names: list[str]) -> None:
    """Run pages and print what each step prints; keep the pictures that they show.

    ``python -m tests.pages docs/start.md`` tells what has to be written on the page.
    """
    for name in names:
        page = ROOT / name
        with TemporaryDirectory() as folder:
            home = Path(folder) / "checkout"
            checkout(home, "examples")
            with Session(Environment(home)) as session:
                for step in steps(page):
                    if SUITE in step.text:
                        continue
                    sys.stdout.write(f"{step.at}: {step.text.rstrip()}\n")
                    if step.text.startswith(_SERVES):
                        session.run([step])
                    else:
                        printed, code = session.step(step)
                        flag = "" if step.is_shown_by(printed) else " DIFFERENT"
                        sys.stdout.write(f"{printed}[{code}{flag}]\n")
            for picture in pictures(page):
                if (home / picture.name).exists():
                    shutil.copy(home / picture.name, picture)


def pictures(page: Path) -> list[Path]:
    """Return the pictures that a page shows."""
    found = re.findall(r"!\[[^\]]*\]\(([^)\s]+\.png)\)", page.read_text())
    return [(page.parent / name).resolve() for name in found]


if __name__ == "__main__":
    main(sys.argv[1:])
