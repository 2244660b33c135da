"""Names of earlier versions: of modules, as scanners and catalogs import them, and of keywords."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

MOVED = {
    "refmaker.catalog": "refmaker.publish.catalog",
    "refmaker.collection": "refmaker.scanning.multi_file",
    "refmaker.contiguous": "refmaker.model.contiguous",
    "refmaker.elements": "refmaker.model.dtypes",
    "refmaker.metadata": "refmaker.model.zarr_v2",
    "refmaker.opening": "refmaker.reading.open",
    "refmaker.reading.document": "refmaker.storage.json_parser",
    "refmaker.reading.policy": "refmaker.io.policy",
    "refmaker.report": "refmaker.model.report",
    "refmaker.scan": "refmaker.scanning.one_file",
    "refmaker.scan_many": "refmaker.scanning.many_files",
    "refmaker.scanner": "refmaker.scanning.protocol",
    "refmaker.serve": "refmaker.publish.serve",
    "refmaker.siblings": "refmaker.io.related_files",
    "refmaker.source": "refmaker.io.source",
    "refmaker.storage.json_reader": "refmaker.storage.hierarchy",
    "refmaker.table": "refmaker.model.chunk_table",
    "refmaker.verify": "refmaker.verification.verify",
    "refmaker.materialize": "refmaker.publish.materialize",
}
"""Name until 0.1, and name since."""


class OldNames:
    """Import hook: an old name gives the module itself, not a copy of it.

    Finder and loader in one, as `importlib.abc` describes them; that module takes ten times as
    long to import as this one.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        """Return a spec for a name that moved, or what lies in a package that moved."""
        if not fullname.startswith("refmaker."):
            return None
        old = fullname if fullname in MOVED else ".".join(fullname.split(".")[:2])
        if old not in MOVED:
            return None
        module = import_module(MOVED[old] + fullname.removeprefix(old))
        loader: Any = self  # what `importlib` asks of one
        return ModuleSpec(fullname, loader, loader_state=(module, module.__spec__))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that has the name of today."""
        module: ModuleType = spec.loader_state[0]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own specification back; it has been executed already."""
        if module.__spec__ is not None and module.__spec__.loader_state:
            module.__spec__ = module.__spec__.loader_state[1]


_Function = TypeVar("_Function", bound="Callable[..., Any]")


def current_names(names: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords by their names of today."""
    found = dict(given)
    for former in names.keys() & given.keys():
        if names[former] in given:
            raise TypeError(f"{former} is a former name of {names[former]}: give one")
        found[names[former]] = found.pop(former)
    return found


def former_keywords(names: Mapping[str, str]) -> Callable[[_Function], _Function]:
    """Let a function be called by former names of its keywords, too.

    Parameters
    ----------
    names : mapping of str to str
        Name until 0.1, and name since.
    """

    def understanding(function: _Function) -> _Function:
        @wraps(function)
        def called(*values: Any, **given: Any) -> Any:
            return function(*values, **current_names(names, given))

        return cast("_Function", called)

    return understanding
