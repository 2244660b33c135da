"""The page on combining shows how to do it on Dask; here that is done."""

from __future__ import annotations

import re
from pathlib import Path

import refmaker
from tests.combine.files import dataset, joined, same, write

PAGE = Path(__file__).parents[2] / "docs" / "combining.md"


def test_the_snippet_for_dask(tmp_path, monkeypatch):
    from distributed import LocalCluster

    shown = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (snippet,) = [code for code in shown if "dask" in code]
    parts = [dataset(k * 2, 2, shape=(40, 60)) for k in range(5)]
    paths = [write(tmp_path / f"f{k}.nc", part, (1, 40, 60)) for k, part in enumerate(parts)]
    monkeypatch.chdir(tmp_path)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        assert "tcp://scheduler:8786" in snippet
        code = snippet.replace("tcp://scheduler:8786", cluster.scheduler_address)
        given = {"__name__": "__main__", "refmaker": refmaker, "batches": [paths[:3], paths[3:]]}
        exec(code, given)  # noqa: S102 - what the documentation shows
    cube = refmaker.read(tmp_path / "cube.parquet")
    same(cube, joined(parts))
    assert list(cube.report.sources) == paths
