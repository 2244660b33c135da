"""Who follows a chunk from `open_dataset` to its bytes reads few files of this package."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group

MOST = 12
"""Of `refmaker/`, with templates in URLs as this package writes them."""
FOLLOWED = """
import asyncio, sys, threading
import refmaker
from zarr.core.buffer import default_buffer_prototype

entered = set()

def note(frame, event, _):
    name = frame.f_code.co_filename.replace(chr(92), "/")
    if event == "call" and "/refmaker/" in name and frame.f_code.co_name != "<module>":
        entered.add(name.rpartition("/refmaker/")[2])

# Once without being watched: what importing enters is no way that a chunk takes.
refmaker.open_dataset(sys.argv[1]).x[5].load()
refmaker.reading.reader._opened.clear()
threading.setprofile(note)
sys.setprofile(note)
from zarr.core import sync
sync.cleanup_resources()
assert refmaker.open_dataset(sys.argv[1]).x[5].values == 5
sys.setprofile(None)
print(*sorted(entered), sep=" ", file=sys.stdout)
"""


@pytest.mark.parametrize("templates", [True, False])
def test_opening_a_set_and_reading_a_chunk_enters_few_files(tmp_path, templates):
    values = np.arange(4000, dtype="<i4")
    (tmp_path / "data.bin").write_bytes(values.tobytes())
    table = ChunkTable.from_columns(
        (4,), (str(tmp_path / "data.bin"),), offset=np.arange(4) * 4000, length=np.full(4, 4000)
    )
    array = Array((4000,), (1000,), np.dtype("<i4"), table, dimension_names=("i",))
    refmaker.ReferenceSet(Group({"x": array})).write(tmp_path / "a.json")
    if not templates:
        document = json.loads((tmp_path / "a.json").read_text())
        url = str(tmp_path / "data.bin")
        refs = {
            key: [url, *value[1:]] if isinstance(value, list) else value
            for key, value in document["refs"].items()
        }
        (tmp_path / "a.json").write_text(json.dumps({"version": 1, "refs": refs}))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FOLLOWED), tmp_path / "a.json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    entered = done.stdout.split()
    assert ("templates/expand.py" in entered) == templates
    assert "reading/reader.py" in entered
    assert "io/local_file.py" in entered
    assert len(entered) <= MOST, entered
