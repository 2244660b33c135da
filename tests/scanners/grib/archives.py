"""Archives as forecast centres write them: files of one step each, and the lists beside them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, NamedTuple

from tests.scanners.grib.messages import joined, message

if TYPE_CHECKING:
    from pathlib import Path


class Line(NamedTuple):
    """What a list says of a message, and the message."""

    text: str
    message: bytes


def interval(begin, end, name="tp", template=8, **keys):
    """Return a message of what happened between two hours."""
    kinds = {"tp": "accum", "10fg": "max"}
    return message(
        productDefinitionTemplateNumber=template, shortName=name, stepType=kinds[name], **keys,
        startStep=begin, endStep=end,
    )  # fmt: skip


def span(begin, end, kind="acc"):
    """Return an interval of hours as wgrib2 writes it."""
    if begin % 24 == 0 and end % 24 == 0:
        return f"{begin // 24}-{end // 24} day {kind} fcst"
    return f"{begin}-{end} hour {kind} fcst"


def gfs(run, hour, pairs=False):
    """Return the lines of a file as GFS has them; the sums of hours 3 and 9 stand there twice."""
    keys = {
        "dataDate": 20240115, "dataTime": run * 100, "centre": 7,
        "generatingProcessIdentifier": 81 if hour == 0 else 96,
    }  # fmt: skip
    lead = f"{hour} hour fcst" if hour else "anl"
    lines = [
        Line(
            f"{known}:{level} mb:{lead}:",
            message(shortName=name, level=level, forecastTime=hour, seed=hour + level, **keys),
        )
        for (name, known), level in itertools.product((("t", "TMP"), ("u", "UGRD")), (850, 500))
    ]  # fmt: skip
    if pairs:
        both = [message(shortName=f"10{name}", forecastTime=hour, **keys) for name in "uv"]
        lines += [Line(f"UGRD:10 m above ground:{lead}:", joined(*both)), Line("", b"")]
    lines.append(
        Line(f"TMP:2 m above ground:{lead}:", message(shortName="2t", forecastTime=hour, **keys))
    )
    if hour:
        bucket = hour - (hour % 6 or 6)
        for begin in (bucket, 0):
            text = f"APCP:surface:{span(begin, hour)}:"
            lines.append(Line(text, interval(begin, hour, seed=begin + hour, **keys)))
    return lines


def gefs(member, hour):
    """Return the lines of a file of one member; the control has no number."""
    kind = {"typeOfEnsembleForecast": 3 if member else 1, "perturbationNumber": member}
    who = f"ENS=+{member}" if member else "ENS=low-res ctl"
    return [
        Line(
            f"{known}:{level} mb:{hour} hour fcst:{who}",
            message(
                productDefinitionTemplateNumber=1, shortName=name, level=level,
                forecastTime=hour, centre=7, seed=member, **kind,
            ),
        )
        for (name, known), level in itertools.product((("t", "TMP"), ("u", "UGRD")), (850, 500))
    ]  # fmt: skip


def reanalysis(run, hour, *, numbers=True):
    """Return the lines of a file of edition 1, as wgrib lists them."""
    lines = []
    keys = {"dataDate": 20240115, "dataTime": run * 100, "centre": 7, "table2Version": 2}
    for (number, known), level in itertools.product(((11, "TMP"), (33, "UGRD")), (850, 500)):
        data = message(
            1, indicatorOfParameter=number, level=level, timeRangeIndicator=10,
            indicatorOfUnitOfTimeRange=1, P1=0, P2=hour, seed=hour + level, **keys,
        )  # fmt: skip
        octets = f"kpds5={number}:kpds6=100:kpds7={level}:TR=10:P1=0:P2={hour}:TimeU=1:"
        lead = f"{hour}hr fcst" if hour else "anl"
        rest = f"{level} mb:{lead}:NAve=0"
        lines.append(Line(f"{known}:{octets if numbers else ''}{rest}", data))
    if hour:
        data = message(
            1, indicatorOfParameter=61, indicatorOfTypeOfLevel=1, level=0, timeRangeIndicator=4,
            indicatorOfUnitOfTimeRange=1, P1=0, P2=hour, **keys,
        )  # fmt: skip
        octets = f"kpds5=61:kpds6=1:kpds7=0:TR=4:P1=0:P2={hour}:TimeU=1:"
        rest = f"sfc:0-{hour}hr acc:NAve=0"
        lines.append(Line(f"APCP:{octets if numbers else ''}{rest}", data))
    return lines


def ifs(run, step, members=()):
    """Return the rows of a file of IFS open data, and its messages."""
    keys = {"dataDate": 20240115, "dataTime": run * 100, "centre": 98}
    rows = []

    def row(data, stream="oper", kind="fc", **more):
        known = {
            "domain": "g", "date": "20240115", "time": f"{run:02}00", "expver": "0001",
            "class": "od", "type": kind, "stream": stream, "step": str(step),
        }  # fmt: skip
        rows.append(({**known, **more}, data))

    for level in (850, 500):
        data = message(shortName="t", level=level, forecastTime=step, seed=level + step, **keys)
        row(data, levtype="pl", levelist=str(level), param="t")
    row(message(shortName="2t", forecastTime=step, **keys), levtype="sfc", param="2t")
    for number in members:
        data = message(
            productDefinitionTemplateNumber=1, shortName="2t", forecastTime=step,
            typeOfEnsembleForecast=3 if number else 1, perturbationNumber=number, seed=number,
            **keys,
        )  # fmt: skip
        told = {"kind": "pf", "number": str(number)} if number else {"kind": "cf"}
        row(data, stream="enfo", levtype="sfc", param="2t", **told)
    if step:
        row(interval(0, step, seed=step, **keys), levtype="sfc", param="tp")
        row(interval(step - 3, step, "10fg", **keys), levtype="sfc", param="10fg")
    return rows


def inventory(lines, date="2024011500"):
    """Return the list that wgrib2 or wgrib writes of a file."""
    text, offset, number = [], 0, 0
    for line, following in itertools.zip_longest(lines, lines[1:]):
        if line.message:
            number += 1
            start = offset
            pair = following is not None and not following.message
            text.append(f"{number}{'.1' if pair else ''}:{start}:d={date}:{line.text}\n")
        else:
            text.append(f"{number}.2:{start}:d={date}:V{text[-1].split(':', 3)[3][1:]}")
        offset += len(line.message)
    return "".join(text)


def json_lines(rows):
    """Return the list that ECMWF writes of a file."""
    text, offset = [], 0
    for row, data in rows:
        text.append(json.dumps({**row, "_offset": offset, "_length": len(data)}) + "\n")
        offset += len(data)
    return "".join(text)


def write_inventory(folder: Path, name, lines, date="2024011500", ending=".idx") -> Path:
    """Write a file of NOAA's and its list; return its path."""
    path = folder / name
    path.write_bytes(b"".join(line.message for line in lines))
    (folder / f"{name}{ending}").write_text(inventory(lines, date))
    return path


def write_rows(folder: Path, name, rows) -> Path:
    """Write a file of ECMWF's and its list, whose name ends otherwise; return its path."""
    path = folder / f"{name}.grib2"
    path.write_bytes(b"".join(data for _, data in rows))
    (folder / f"{name}.index").write_text(json_lines(rows))
    return path
