"""Every refusal names what helps; what it names is typed here, in Python and in a terminal.

What helps either works or leads to another, further reason; it is never what was tried just now.
"""

from __future__ import annotations

import ast
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.cli.combine import command as combine_command
from refmaker.combine.agreement import Findings
from refmaker.combine.values import cut_inline
from refmaker.errors import LimitError, MetadataError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.report import Fingerprint, ScanReport

COMBINE = Path(refmaker.combine.__globals__["__file__"]).parent / "combine"
_MARKED = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")
DAYS = "days since 2000-01-01"


def arr(values, dims=(), chunks=None, *, fill=None, zlib=False, order="C", **attributes):
    values = np.asarray(values)
    chunks = tuple(chunks or values.shape)
    like = Array(
        values.shape, chunks, values.dtype, ChunkTable.empty(chunk_grid(values.shape, chunks)),
        compressor={"id": "zlib", "level": 1} if zlib else None, fill_value=fill, order=order,
        dimension_names=tuple(dims.split()) if isinstance(dims, str) else dims,
        attributes=attributes,
    )  # fmt: skip
    return replace(like, chunks=cut_inline(values, like))


def member(number, *, attributes=None, name=None, **arrays):
    name = name or f"/data/{number}.nc"
    report = ScanReport(name, sources={name: Fingerprint(9999)})
    return refmaker.ReferenceSet(Group(arrays, attributes or {}), report)


def days(start, count=2, **attributes):
    return arr(np.arange(start, start + count, dtype="i4"), "time", units=DAYS, **attributes)


def field(seed=0, count=2, shape=(20, 30), dtype="f4", dims="time y x", **how):
    values = np.random.default_rng(seed).normal(size=(count, *shape)) * 100
    return arr(values.astype(dtype), dims, **how)


def series(**changed):
    """Return two days and two more, of which the second differs as said."""
    second = {"time": days(2), "v": field(1, zlib=True)} | changed
    return [
        member(0, time=days(0), v=field(0, zlib=True)),
        member(1, **{k: v for k, v in second.items() if v is not None}),
    ]


def pair(**variables):
    """Return two files with variables of two values each."""
    return [
        member(k, **{name: both[k] for name, both in variables.items() if both[k] is not None})
        for k in range(2)
    ]


def packed(*, exact):
    offsets = (0.0, 10.0) if exact else (0.0, 0.3)
    return pair(
        time=(days(0), days(2)),
        v=[field(k, dtype="i2", scale_factor=0.5, add_offset=offsets[k]) for k in range(2)],
    )


BIG = {"concat": "time"}
OLD = {"concat": "time", "zarr_format": 2}
GRID = {"y": arr(np.arange(20.0), "y"), "x": arr(np.arange(30.0), "x")}
SCENES = {
    "attribute": (series(v=field(1, zlib=True, units="K")), BIG),
    "attribute settled otherwise": (
        series(v=field(1, zlib=True, long_name="a")),
        {**BIG, "combine_attrs": {"long_name": "error"}},
    ),
    "group's attribute": (
        [member(k, attributes={"history": str(k)}, time=days(2 * k)) for k in range(2)],
        {**BIG, "combine_attrs": "error"},
    ),
    "packing": (packed(exact=False), OLD),
    "packing that can be kept": (packed(exact=True), OLD),
    "fill value": (series(v=field(1, zlib=True, fill=np.float32(-9))), BIG),
    "_FillValue": (series(v=field(1, zlib=True, _FillValue=-9.0)), BIG),
    "dtype": (series(v=field(1, dtype="f8", zlib=True)), BIG),
    "codec": (series(v=field(1)), BIG),
    "codec of more than the budget": (series(v=field(1)), {**BIG, "inline_budget": 1000}),
    "order": (series(v=field(1, zlib=True, order="F")), BIG),
    "chunks, compressed": (series(v=field(1, zlib=True, chunks=(1, 20, 30))), OLD),
    "chunks, not compressed": (
        pair(time=(days(0), days(2)), v=(field(0), field(1, chunks=(1, 20, 30)))), OLD,
    ),
    "chunks elsewhere": (series(v=field(1, zlib=True, chunks=(2, 10, 30))), BIG),
    "chunks elsewhere, not compressed": (
        pair(time=(days(0), days(2)), v=(field(0), field(1, chunks=(2, 10, 30)))), BIG,
    ),
    "chunks that overlap": (
        pair(time=(days(0, 4), days(3, 4)), v=[field(k, 4, zlib=True) for k in range(2)]), BIG,
    ),
    "chunks that overlap, not compressed": (
        pair(time=(days(0, 4), days(3, 4)), v=[field(k, 4) for k in range(2)]), BIG,
    ),
    "uneven chunks": (
        [refmaker.combine(series(time=days(2, 3), v=field(1, 3, zlib=True)), concat="time")], OLD,
    ),
    "partial chunks, not compressed": (
        pair(time=(days(0, 3), days(3, 3)), v=[field(k, 3, chunks=(2, 20, 30)) for k in range(2)]),
        OLD,
    ),
    "partial chunks, compressed": (
        pair(time=(days(0, 3), days(3, 3)),
             v=[field(k, 3, chunks=(2, 20, 30), zlib=True) for k in range(2)]), OLD,
    ),
    "scattered chunks": (
        pair(time=[arr(np.array([k, k + 2], "i4"), "time", units=DAYS) for k in range(2)],
             v=[field(k, zlib=True) for k in range(2)]), BIG,
    ),
    "scattered chunks in version 2": (
        pair(time=[arr(np.array([k, k + 2], "i4"), "time", units=DAYS) for k in range(2)],
             v=[field(k, zlib=True) for k in range(2)]), OLD,
    ),
    "names of dimensions": (series(v=field(1, zlib=True, dims="time x y", shape=(20, 30))), BIG),
    "size of a dimension": (series(v=field(1, shape=(20, 31), zlib=True)), BIG),
    "elements beside a coordinate": (series(v=field(1, 3, zlib=True)), BIG),
    "hole": (
        pair(time=(days(0), days(2)), v=(field(0, zlib=True), None), w=(field(3), field(4))), BIG,
    ),
    "hole in a small variable": (
        pair(time=(days(0), days(2)), v=(arr([1.0, 2], "time"), None)), BIG,
    ),
    "hole in integers": (
        pair(time=(days(0), days(2)), v=(field(0, dtype="i2", zlib=True), None)),
        {**BIG, "join": "outer"},
    ),
    "hole in few integers": (
        pair(time=(days(0), days(2)), v=(arr(np.array([1, 2]), "time"), None)),
        {**BIG, "join": "outer"},
    ),
    "twice": (
        pair(time=(days(0), days(1)),
             v=[field(k, zlib=True, chunks=(1, 20, 30)) for k in range(2)]),
        BIG,
    ),
    "twice, small": (
        pair(time=(days(0), days(1)), v=(arr([1, 2], "time"), arr([3, 4], "time"))), BIG,
    ),
    "lacking a dimension": (
        [member(2 * k + n, time=days(k, 1), band=arr([n], "band"), w=arr([n + k], "time"),
                v=field(4 + n, dims="time y x", count=1, zlib=True)) for k in range(2)
         for n in range(2)],
        {"concat": ("time", "band")},
    ),
    "differing scalar": (pair(time=(days(0), days(2)), v=(arr(1), arr(2))), BIG),
    "differing field": (
        pair(time=(days(0, 1), days(1, 1)), v=[field(k, dims="z y x") for k in range(2)]), BIG,
    ),
    "differing field of many times": (
        pair(time=(days(0), days(2)), v=[field(k, dims="z y x") for k in range(2)]), BIG,
    ),
    "differing field, no dimension": (pair(v=[field(k, dims="z y x") for k in range(2)]), {}),
    "differing field, scalar time": (
        pair(t=[arr(np.float64(k), units=DAYS) for k in range(2)],
             v=[field(k, dims="z y x") for k in range(2)]), {},
    ),
    "fields without coordinate": (
        pair(v=[field(k, dims="Time y x") for k in range(2)]), {},
    ),
    "coordinate of one element": (
        pair(time=(days(0, 1), days(1, 1)), reference=[arr([k], "reference") for k in range(2)]),
        BIG,
    ),
    "grids apart": (
        pair(time=(days(0), days(2)), y=(arr(np.arange(20.0), "y"), arr(np.arange(20.0) + 7, "y")),
             v=[field(k, zlib=True) for k in range(2)]), BIG,
    ),
    "grids near": (
        pair(time=(days(0), days(2)),
             y=(arr(np.arange(20.0), "y"), arr(np.arange(20.0) + 1e-9, "y")),
             v=[field(k, zlib=True) for k in range(2)]), BIG,
    ),
    "grids near, nothing named": (
        pair(time=(days(0), days(2)),
             y=(arr(np.arange(20.0), "y"), arr(np.arange(20.0) + 1e-9, "y")),
             v=[field(k, zlib=True) for k in range(2)]), {},
    ),
    "tolerance too small": (
        [member(k, time=days(k, 1), y=arr(np.arange(3.0) + k * 0.01, "y")) for k in range(3)],
        {**BIG, "tolerance": 0.011},
    ),
    "tolerance too large": (
        pair(time=(days(0), days(2)), y=(arr(np.arange(3.0), "y"), arr(np.arange(3.0) + 0.1, "y"))),
        {**BIG, "tolerance": {"y": 2.0}},
    ),
    "too much to compare": (
        pair(time=(days(0), days(2)),
             v=(field(0, dims="z y x"), field(0, dims="z y x", zlib=True))),
        {**BIG, "compare_budget": 1000},
    ),
    "too much to compare by a tolerance": (
        pair(time=(days(0), days(2)), lat=[field(0, dims="z y x") for _ in range(2)],
             v=[field(k, coordinates="lat") for k in range(2)]),
        {**BIG, "compare_budget": 1000, "tolerance": 0.1},
    ),
    "order given": (pair(time=(days(2), days(0))), {**BIG, "order": "given"}),
    "not sorted": (
        pair(time=[arr(np.array([5, 1, 3]) + 10 * k, "time", units=DAYS) for k in range(2)]), BIG,
    ),
    "rising and falling": (
        pair(time=(days(0), arr(np.array([5, 4], "i4"), "time", units=DAYS))), BIG,
    ),
    "not a number": (pair(time=(arr([0.0, np.nan], "time"), arr([2.0, 3], "time"))), BIG),
    "a value twice": (pair(time=(arr([0, 0], "time"), arr([2, 3], "time"))), BIG),
    "texts made regular": (
        pair(time=(arr(np.array(["a", "b"]), "time"), arr(np.array(["c"]), "time"))),
        {**BIG, "regular": "time"},
    ),
    "no order to be made regular": (
        pair(time=(arr([0, 4], "time"), arr([2, 3], "time"))),
        {**BIG, "regular": "time", "order": "given", "monotonic": False},
    ),
    "no equal distances": (
        pair(time=(arr([0, 2], "time"), arr([4, 7], "time"))), {**BIG, "regular": "time"},
    ),
    "no precision for equal distances": (
        pair(time=(arr(np.array([0, 1e-8]), "time"), arr(np.array([1e8]), "time"))),
        {**BIG, "regular": "time"},
    ),
    "regular, not joined": (pair(time=(days(0), days(0))), {"regular": "time"}),
    "variable and group": ([member(0, v=arr(1)), member(1, v=Group({"w": arr(1)}))], {}),
    "sizes in one file": ([member(0, v=arr([1, 2], "x"), w=arr([1, 2, 3], "x"))], {}),
    "no coordinate, several dimensions": (
        pair(time=(days(0, 1), days(1, 1)), v=[field(k, 1) for k in range(2)],
             wave=(arr(np.arange(20.0), "y"),) * 2), {"concat": ("time", "y")},
    ),
    "no coordinate and nothing for it": (
        pair(time=(days(0, 1), days(1, 1)), v=[field(k, 1) for k in range(2)]),
        {"concat": ("time", "y")},
    ),
    "coordinate in some files": (
        pair(time=(days(0), None), v=[field(k, zlib=True) for k in range(2)]), BIG,
    ),
    "too few values": (
        pair(v=[field(k, dims="Time y x") for k in range(2)],
             XTIME=[arr(np.arange(2) + 2 * k, "Time") for k in range(2)]),
        {"coords": {"Time": "index"}},
    ),
    "boundaries without units": (
        pair(time=[days(2 * k, bounds="b") for k in range(2)],
             b=[arr(np.zeros((2, 2)), "time nv") for k in range(2)]),
        {"coords": {"time": [0, 1, 2, 3]}},
    ),
    "unknown dimension": (pair(v=[field(k) for k in range(2)]), {"concat": "run"}),
    "several values for a new dimension": (
        pair(v=[field(k) for k in range(2)], t=[arr([1, 2], "t2") for k in range(2)]),
        {"coords": {"run": "data:t"}},
    ),
    **{
        f"selector {selector!r}": (
            pair(v=[field(k) for k in range(2)]), {"coords": {"run": selector}},
        )
        for selector in ("nowhere", "attr:x", "vattr:v:x", "vattr:w:x", "data:w", "data:v", [1],
                         {"/data/0.nc": 1}, "{other}.nc", "b{run}.nc", [1, "a"], [2**60 + 1, 0.5])
    },
    "values of different units": (
        pair(v=[field(k) for k in range(2)],
             t=(arr(1, units="days since 2000-01-01"), arr(1, units="days since 2000-01-02"))),
        {"coords": {"run": "data:t"}, "times": "keep"},
    ),
    "no dates": (
        pair(v=[field(k) for k in range(2)], t=(arr(1, units="m"), arr(2, units="m"))),
        {"coords": {"run": "cf:t"}},
    ),
    "texts that are no dates": (
        pair(v=[field(k) for k in range(2)],
             t=[arr(np.array(text)) for text in ("2024-13-01", "2024-01-01")]),
        {"coords": {"run": "cf:t"}},
    ),
    "squeeze more": (pair(time=(days(0), days(2))), {**BIG, "squeeze": "time"}),
    "squeeze what is not there": (pair(time=(days(0), days(2))), {**BIG, "squeeze": "band"}),
    "squeeze of larger chunks": (
        pair(time=(days(0), days(2)),
             v=[arr(np.zeros((1, 400)) + k, "band x", (4, 400), zlib=True) for k in range(2)]),
        {**BIG, "squeeze": "band"},
    ),
    "fill of another type": (
        pair(time=(days(0), days(2)), v=[field(k, dtype="u1") for k in range(2)]),
        {**BIG, "fill": {"v": -1}},
    ),
    "fill where there is one": (
        pair(time=(days(0), days(2)), v=[field(k, fill=np.float32(5)) for k in range(2)]),
        {**BIG, "fill": {"v": -1}},
    ),
    "fill where chunks are absent": (
        [member(k, time=days(2 * k), v=replace(field(k), chunks=ChunkTable.empty((1, 1, 1))))
         for k in range(2)], {**BIG, "fill": {"v": -1}},
    ),
    "chunks that cannot be": (
        [member(0, v=replace(field(0), chunks=ChunkTable.from_columns(
            (1, 1, 1), ["/data/0.nc"], offset=np.zeros(1, "u8"), length=np.full(1, 4800))))],
        {"chunks": {"y": 7}},
    ),
    "calendars": (
        series(time=days(2, calendar="noleap"), v=None) , BIG,
    ),
    "calendars before the reform": (
        pair(time=[arr(np.array([k]), "time", units="days since 1500-01-01", calendar=calendar)
                   for k, calendar in enumerate(("standard", "proleptic_gregorian"))]), BIG,
    ),
    "zone that nobody reads": (
        pair(time=(days(0), arr([1, 2], "time", units="days since 2000-01-01 EST"))), BIG,
    ),
    "times kept": (
        pair(time=(days(0), arr([1, 2], "time", units="days since 2000-02-01"))),
        {**BIG, "times": "keep"},
    ),
    "times of more than the budget": (
        pair(time=(days(0), arr([1, 2], "time", units="days since 2000-02-01"))),
        {**BIG, "inline_budget": 20},
    ),
    "packed times": (
        pair(time=(days(0), arr([1, 2], "time", units="days since 2000-02-01", scale_factor=2.0))),
        BIG,
    ),
}  # fmt: skip
ENDLESS = {"not a number", "a value twice"}
"""Nothing but another file helps."""


def refusal(sets, options):
    """Return what is said, line by line, and the remedies; None if the inputs are combined."""
    try:
        refmaker.combine(sets, **options)
    except (MetadataError, LimitError) as error:
        lines = frozenset(error.lines or [f"{error.path}: {error.message}"])
        return lines, (error.hint or "").split("; ")
    return None


def with_remedy(options, remedy):
    """Return options with what a remedy says; None if it says none."""
    done = dict(options)
    for name, text in _MARKED.findall(remedy):
        if not text:
            done.pop(name, None)
            continue
        value = ast.literal_eval(text)
        assert hasattr(refmaker.CombineOptions(), name), remedy
        if isinstance(value, dict):
            given = done.get(name) or {}
            done[name] = {**(given if hasattr(given, "keys") else {"*": given}), **value}
        elif name in ("drop", "concat", "varying", "squeeze"):
            given = done.get(name) or ()
            given = (given,) if isinstance(given, str) else tuple(given)
            done[name] = (*given, *(value if isinstance(value, list) else [value]))
        else:
            done[name] = value
    return done


def walk(sets, options, depth=0):
    """Type every remedy, and those that come of it; return whether any leads to a cube."""
    said = refusal(sets, options)
    if said is None:
        return True
    assert depth < 6, said
    lines, remedies = said
    assert any(remedies), lines
    ends = False
    for remedy in remedies:
        changed = with_remedy(options, remedy)
        if changed == options:
            assert not _MARKED.search(remedy), (remedy, options)
            continue
        again = refusal(sets, changed)
        # Of several reasons, a remedy may settle one.
        assert again is None or again[0] != lines, (remedy, lines)
        ends |= walk(sets, changed, depth + 1)
    return ends


@pytest.mark.parametrize("scene", SCENES)
def test_remedies_work_or_lead_on(scene):
    sets, options = SCENES[scene]
    assert refusal(sets, options) is not None
    assert walk(sets, options) == (scene not in ENDLESS)


def flags_of(options):
    """Return options as a command line has them."""
    for name, value in options.items():
        flag = {"coords": "--coord"}.get(name, f"--{name.replace('_', '-')}")
        if name == "monotonic":
            yield "--no-monotonic"
        elif hasattr(value, "keys"):
            for key, one in value.items():
                yield from (flag, f"{key}={one}".replace("'", '"'))
        elif name in ("concat", "regular", "squeeze", "drop"):
            for one in [value] if isinstance(value, str) else value:
                yield from (flag, one)
        else:
            yield from (flag, str(value))


_KNOWN = {flag for option in combine_command.params for flag in option.opts}
TYPED = [
    name for name, (_, options) in SCENES.items()
    if ("zarr_format" not in options or "--zarr-format" in _KNOWN)
    and not any(hasattr(v, "keys") and any(isinstance(o, dict) for o in v.values())
                for v in options.values())
]  # fmt: skip


@pytest.mark.parametrize("scene", TYPED)
def test_a_terminal_shows_flags_that_work(scene, tmp_path, monkeypatch):
    sets, options = SCENES[scene]
    names = []
    for number, refs in enumerate(sets):
        names.append(str(tmp_path / f"{number}.json"))
        refs.write(names[-1])
    command = ["combine", *names, "-o", str(tmp_path / "out.json"), *flags_of(options)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1, done.output
    assert "`" not in done.output
    lines = done.output.splitlines()
    if len(lines) > 1:
        assert re.search(r"\d+ differences:$", lines[0])
    flags = re.findall(r"\((--[a-z-]+(?: [^()]*|\('[^']*'\))*)\)", done.output)
    said = refusal(sets, options)
    typed = [remedy for remedy in said[1] if "=" in remedy and "`" in remedy]
    assert len(flags) >= len(typed), (flags, typed)
    for shown in flags:
        again = CliRunner().invoke(main, [*command, *shlex.split(shown.replace(" and ", " "))])
        assert again.exit_code in (0, 1), again.output
        assert again.exit_code == 0 or again.output != done.output, shown
        (tmp_path / "out.json").unlink(missing_ok=True)


def sites():
    """Return the places where a difference is told."""
    calls = re.compile(r"\bfound\.(?:say|differ)\(")
    return {
        (path.name, number)
        for path in sorted(COMBINE.glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if calls.search(line)
    }


def test_every_place_that_refuses_is_walked(monkeypatch):
    seen = set()
    plain = {"say": Findings.say, "differ": Findings.differ}

    def watched(name):
        def told(self, *args, **kwargs):
            frame = sys._getframe(1)
            seen.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
            return plain[name](self, *args, **kwargs)

        return told

    for name in plain:
        monkeypatch.setattr(Findings, name, watched(name))
    for sets, options in SCENES.values():
        refusal(sets, options)
        refusal(sets, {**options, "mismatched": "inline"})
    missed = sites() - seen
    assert not missed
