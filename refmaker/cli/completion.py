"""What a shell offers when a value is being typed; whatever goes wrong there, it offers nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.cli.boundary import ARGUMENTS
from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click
    from click.shell_completion import CompletionItem

__all__ = ["arrays", "codecs", "dimensions", "entries", "files", "folders", "formats", "groups"]

_LARGEST = 16 * 1024**2
"""Bytes of a set that is read to complete a name."""


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to complete a path."""
    return _by_shell(ctx, param, incomplete, "file")


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to complete the path of a folder."""
    return _by_shell(ctx, param, incomplete, "dir")


def _by_shell(
    ctx: click.Context, param: click.Parameter, incomplete: str, kind: str
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    del ctx, param
    return [CompletionItem(incomplete, type=kind)]


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the formats that can be scanned."""
    from refmaker.scanning.protocol import declarations

    del ctx, param
    return _fitting(sorted(declarations()), incomplete)


def codecs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the codecs that are registered but not known to be safe."""
    from numcodecs.registry import codec_registry, entries

    from refmaker.io.policy import Policy

    del ctx, param
    policy = Policy(None)
    known = sorted({*codec_registry, *entries})
    return _fitting([name for name in known if policy.untrusted([{"id": name}])], incomplete)


def entries(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the entries of the catalog that was named before."""
    import refmaker

    del param
    try:
        known = [entry.name for entry in refmaker.catalog.entries(str(ctx.params["catalog"]))]
    except (RefmakerError, OSError, KeyError, ValueError):
        return []
    return _fitting(known, incomplete)


def arrays(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer paths of arrays in the set that was named before."""
    del param
    return _of_set(ctx, incomplete, lambda group: [path for path, _ in group.arrays() if path])


def groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer paths of groups in the set that was named before."""
    del param
    return _of_set(ctx, incomplete, _groups)


def dimensions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the dimensions of the set that was named before."""
    del param
    return _of_set(
        ctx,
        incomplete,
        lambda group: dict.fromkeys(
            name for _, array in group.arrays() for name in array.dimension_names or () if name
        ),
    )


def _groups(group: Any) -> list[str]:
    from refmaker.model import Group

    return [path for path, node in group.walk() if path and isinstance(node, Group)]


def _of_set(
    ctx: click.Context, incomplete: str, names: Callable[[Any], Iterable[str]]
) -> list[CompletionItem]:
    """Offer names of a set; of several between commas, the last."""
    import refmaker

    # A line without the value that is being typed is not parsed to its end: the words tell more.
    path = next(filter(os.path.exists, ctx.meta.get(ARGUMENTS, ())[1:]), None)
    if path is None or (os.path.isfile(path) and os.path.getsize(path) > _LARGEST):
        return []
    try:
        known = list(names(refmaker.read(path).group))
    except (RefmakerError, OSError, ValueError):
        return []
    before, comma, last = incomplete.rpartition(",")
    return _fitting(known, last, f"{before}{comma}")


def _fitting(names: Iterable[str], incomplete: str, before: str = "") -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(f"{before}{name}") for name in names if name.startswith(incomplete)]
