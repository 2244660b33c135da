"""``refmaker catalog``: entries for intake, and STAC items."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from refmaker.cli.boundary import FAILED
from refmaker.cli.completion import entries, files
from refmaker.cli.options import Pair, as_json, storage_options, verbosity
from refmaker.cli.output import counted, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["command"]


@click.group("catalog")
def command() -> None:
    """Put reference sets into intake catalogs, and look after what is there.

    \b
    Example:
      refmaker catalog add catalog.yaml cube.json --description "air temperature"
      refmaker catalog list catalog.yaml
      refmaker catalog check catalog.yaml
      refmaker catalog stac cube.json > item.json
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


@command.command("add", short_help="Add a reference set to a catalog.")
@click.argument("catalog", shell_complete=files)
@click.argument("refs", shell_complete=files)
@click.option("--name", help="Name of the entry.  [default: from REFS]")
@click.option("--description", default="", help="A sentence for people.")
@click.option("--group", default="", help="Path of the group to open.  [default: the root]")
@click.option(
    "--driver",
    type=click.Choice(["stock", "refmaker"]),
    help="Who reads it.  [default: stock, where that can]",
)
@click.option(
    "--intake",
    type=click.Choice(["1", "2"]),
    default="2",
    show_default=True,
    help="Format of a new catalog.",
)
@click.option(
    "--param",
    "parameters",
    type=Pair("NAME=VALUE", empty=True),
    multiple=True,
    metavar="NAME=VALUE",
    help="Default of a field of REFS; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace an entry of the same name.")
@storage_options
@as_json
@verbosity
def add(
    *, parameters: Sequence[tuple[str, str]], as_json: bool, quiet: bool, **values: Any
) -> None:
    """Add the reference set REFS to CATALOG, a YAML file that is made if it is not there.

    REFS may have fields, such as refs/{date:%Y%m%d}.json, which become parameters. Entries are
    made of stock drivers where those can read the set, and name it relative to the catalog. -S
    gives options for the files that hold the data; secrets are refused.

    \b
    Example:
      refmaker catalog add catalog.yaml cube.json
      refmaker catalog add c.yaml '{date:%Y%m%d}.json' --param date=20240101
    """  # noqa: D301 - as above
    from refmaker.publish import catalog

    where = values.pop("catalog")
    if values["refs"].endswith((".yaml", ".yml")):
        turned = f"refmaker catalog add {values['refs']} {where}"
        raise click.UsageError(f"the catalog stands before the set: {turned}")
    chosen = dict(parameters)
    entry = catalog.add(where, intake=int(values.pop("intake")), parameters=chosen, **values)
    driver = "stock drivers" if entry.stock else "the driver of refmaker"
    if as_json:
        told = {"input": values["refs"], "output": where, "status": "ok", "name": entry.name}
        print_json({**told, "stock": entry.stock})
    elif not quiet:
        say(f"{values['refs']}: {entry.name} ({driver}) -> {where}")


@command.command("list", short_help="List the entries of a catalog.")
@click.argument("catalog", shell_complete=files)
@as_json
@verbosity
def list_entries(*, catalog: str, as_json: bool, quiet: bool) -> None:
    """List the entries of CATALOG: name, driver, description.

    \b
    Example:
      refmaker catalog list catalog.yaml
    """  # noqa: D301 - as above
    from refmaker.publish.catalog import entries

    del quiet
    found = entries(catalog)
    if as_json:
        for entry in found:
            named = {"name": entry.name, "driver": entry.driver}
            print_json({**named, "description": entry.description})
    else:
        print_table([(entry.name, entry.driver, entry.description) for entry in found])


@command.command("show", short_help="Show one entry of a catalog.")
@click.argument("catalog", shell_complete=files)
@click.argument("name", shell_complete=entries)
@verbosity
def show(*, catalog: str, name: str, quiet: bool) -> None:
    """Show the entry NAME of CATALOG as JSON, as it is written.

    \b
    Example:
      refmaker catalog show catalog.yaml air
    """  # noqa: D301 - as above
    from refmaker.publish.catalog import entries

    del quiet
    found = {entry.name: entry for entry in entries(catalog)}
    if name not in found:
        known = ", ".join(found) or "none"
        raise click.UsageError(f"{catalog} has no entry {name!r}; it has: {known}")
    for line in json.dumps(found[name].written, indent=2, ensure_ascii=False).split("\n"):
        say(line)


@command.command("check", short_help="Open every entry of a catalog.")
@click.argument("catalog", shell_complete=files)
@as_json
@verbosity
@click.pass_context
def check(ctx: click.Context, *, catalog: str, as_json: bool, quiet: bool) -> None:
    """Open every entry of CATALOG with intake, and read a value of every variable.

    The exit code is 1 if any entry fails.

    \b
    Example:
      refmaker catalog check catalog.yaml --json
    """  # noqa: D301 - as above
    from refmaker.publish import catalog as room

    found = room.check(catalog)
    for entry in found:
        if as_json:
            print_json({"name": entry.name, "variables": entry.variables, "reason": entry.reason})
        elif entry.reason:
            say(f"failed: {entry.name}: {entry.reason}", err=True, mark=len("failed:"))
        elif not quiet:
            say(f"{entry.name}: {counted(entry.variables, 'variable')}")
    bad = sum(not entry.ok for entry in found)
    if as_json:
        print_json({"summary": {"entries": len(found), "ok": len(found) - bad, "failed": bad}})
    elif not quiet:
        failed = f", {bad} failed" if bad else ""
        say(f"{counted(len(found), 'entry', 'entries')}: {len(found) - bad} ok{failed}", err=True)
    if bad:
        ctx.exit(FAILED)


class Times(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A time, or two with a slash between them, as ISO 8601 has them; in UTC unless they say."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[datetime, datetime]:
        """Return start and end."""
        from datetime import datetime

        if isinstance(value, tuple):
            return value
        try:
            ends = [datetime.fromisoformat(text.strip()) for text in str(value).split("/")]
            first, last = ends if len(ends) > 1 else ends * 2
        except ValueError:
            self.fail(f"{value!r} is not a time, or two: 2024-01-01T12:00/2024-02-01", param, ctx)
        return first, last


@command.command("stac", short_help="Print a STAC item for a reference set.")
@click.argument("refs", shell_complete=files)
@click.option("--id", "name", help="Of the item.  [default: from REFS]")
@click.option("--href", help="Where others find the set.  [default: REFS]")
@click.option("--group", default="", help="Path of the group to describe.  [default: the root]")
@click.option(
    "--bbox",
    type=float,
    nargs=4,
    metavar="WEST SOUTH EAST NORTH",
    help="In degrees.  [default: from the grid mapping or coordinates]",
)
@click.option(
    "--times",
    type=Times(),
    metavar="TIME[/TIME]",
    help="Start and end, or one instant.  [default: from the coordinate of time]",
)
@storage_options
@verbosity
def stac(*, refs: str, name: str | None, quiet: bool, **values: Any) -> None:
    """Print a STAC item whose asset is the reference set REFS.

    Time and place come from the coordinates and the grid mapping; both can be given.

    \b
    Example:
      refmaker catalog stac cube.json --href https://example.org/cube.json
      refmaker catalog stac scene.json --group 0 --times 2024-06-01T10:00Z
    """  # noqa: D301 - as above
    from refmaker.publish.catalog import stac_item

    del quiet
    item = stac_item(refs, id=name, **values)
    for line in json.dumps(item.to_dict(include_self_link=False), indent=2).split("\n"):
        say(line)
