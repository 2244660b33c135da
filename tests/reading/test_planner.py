"""Requests are gathered, merged, issued and split."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import zarr

import refmaker
from refmaker.errors import TruncatedError
from refmaker.io.retries import CONCURRENT
from refmaker.model.chunk_table import ChunkTable
from refmaker.reading.open import open_store
from refmaker.reading.planner import Plan, Planner
from refmaker.storage.reference_index import Located

DATA = bytes(range(256)) * 4096


class Disk:
    """A file that notes what is fetched of it."""

    def __init__(self):
        self.asked = []

    async def fetch(self, url, start, stop):
        self.asked.append((url, start, stop))
        await asyncio.sleep(0.005)
        if stop is not None and stop > len(DATA):
            raise TruncatedError("too short")
        return DATA[start:stop]


def read(ranges, plan, *, table=None):
    """Read ranges at the same time; returns what came, and what was fetched."""
    disk = Disk()
    planner = Planner(disk.fetch, plan)

    async def main():
        def located(i):
            return None if table is None else Located(*ranges[i], table, i)

        return await asyncio.gather(
            *(planner.read(*wanted, located(i)) for i, wanted in enumerate(ranges)),
            return_exceptions=True,
        )

    return asyncio.run(main()), disk.asked


def test_near_ranges_come_together_and_are_split_again():
    ranges = [("f", 100, 200), ("f", 0, 50), ("f", 210, 300), ("g", 0, 10), ("f", 5000, 5010)]
    got, asked = read(ranges, Plan(gap=100))
    assert [bytes(part) for part in got] == [DATA[a:b] for _, a, b in ranges]
    assert sorted(asked) == [("f", 0, 300), ("f", 5000, 5010), ("g", 0, 10)]


def test_limits_of_merging():
    ranges = [("f", i * 100, i * 100 + 100) for i in range(20)]
    assert len(read(ranges, Plan(block=500))[1]) == 4
    assert len(read(ranges, Plan(gap=-1))[1]) == 20
    assert len(read(ranges, Plan(gap=0))[1]) == 1


def test_equal_overlapping_and_whole_ranges():
    ranges = [
        ("f", 0, 100),
        ("f", 0, 100),
        ("f", 50, 150),
        ("f", 10, 20),
        ("w", 0, None),
        ("w", 0, None),
    ]
    got, asked = read(ranges, Plan())
    assert [bytes(part) for part in got] == [DATA[a:b] for _, a, b in ranges]
    assert sorted(asked, key=str) == [("f", 0, 150), ("w", 0, None)]


def test_a_range_behind_the_end_costs_the_others_nothing():
    end = len(DATA)
    got, _ = read([("f", end - 200, end - 100), ("f", end - 100, end + 1)], Plan())
    assert bytes(got[0]) == DATA[-200:-100]
    assert isinstance(got[1], TruncatedError)


def test_what_fails_fails_for_all_who_wait():
    async def fetch(url, start, stop):
        raise OSError(url)

    async def main():
        planner = Planner(fetch, Plan())
        return await asyncio.gather(
            *(planner.read("f", i, i + 1) for i in range(5)), return_exceptions=True
        )

    assert [str(error) for error in asyncio.run(main())] == ["f"] * 5


def test_a_reader_that_gives_up_costs_the_others_nothing():
    async def main():
        planner = Planner(Disk().fetch, Plan())
        tasks = [asyncio.create_task(planner.read("f", i * 10, i * 10 + 10)) for i in range(3)]
        await asyncio.sleep(0.003)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    got = asyncio.run(main())
    assert isinstance(got[0], asyncio.CancelledError)
    assert [bytes(part) for part in got[1:]] == [DATA[10:20], DATA[20:30]]


def table_of(count, nbytes):
    return ChunkTable.from_columns(
        (count,), ("f",), offset=np.arange(count) * nbytes, length=np.full(count, nbytes)
    )


@pytest.mark.parametrize("step", [1, 3])
def test_walks_are_fetched_ahead(step):
    """As Zarr does: ten readers at a time, each of which takes the next chunk when done."""
    disk, table = Disk(), table_of(1024, 1024)
    planner = Planner(disk.fetch, Plan(ahead=100_000, gap=4096))
    rows = iter(range(0, 1024, step))
    got = {}

    async def reader():
        for row in rows:
            a = row * 1024
            got[row] = await planner.read("f", a, a + 1024, Located("f", a, 1024, table, row))

    async def main():
        await asyncio.gather(*(reader() for _ in range(10)))

    asyncio.run(main())
    assert all(bytes(part) == DATA[row * 1024 : row * 1024 + 1024] for row, part in got.items())
    assert len(got) == len(range(0, 1024, step))
    assert len(disk.asked) <= 8
    assert sum(stop - start for _, start, stop in disk.asked) <= len(DATA)


def test_walks_over_scattered_chunks_are_fetched_ahead_side_by_side():
    """Zarr asks for ten at a time: waiting for each ten in turn would take fifty rounds."""
    table = ChunkTable.from_columns(
        (500,), ("f",), offset=np.arange(500) * 2000, length=np.full(500, 100)
    )
    under_way = most = rounds = 0
    asked = []

    async def fetch(url, start, stop):
        nonlocal under_way, most, rounds
        rounds += under_way == 0
        under_way += 1
        most = max(most, under_way)
        asked.append((start, stop))
        await asyncio.sleep(0.01)
        under_way -= 1
        return bytes((start // 2000 % 251,)) * (stop - start)

    planner = Planner(fetch, Plan(gap=100))
    rows = iter(range(500))
    got = {}

    async def reader():
        for row in rows:
            a = row * 2000
            got[row] = await planner.read("f", a, a + 100, Located("f", a, 100, table, row))

    async def main():
        await asyncio.gather(*(reader() for _ in range(10)))

    asyncio.run(main())
    assert all(bytes(part) == bytes((row % 251,)) * 100 for row, part in got.items())
    assert sorted(asked) == [(row * 2000, row * 2000 + 100) for row in range(500)]
    assert 60 < most <= CONCURRENT
    assert rounds < 20


def test_nothing_is_fetched_ahead_of_few_readers_or_of_steps_that_are_uneven():
    table = table_of(100, 100)
    few = [("f", i * 100, i * 100 + 100) for i in range(9)]
    assert read(few, Plan(), table=table)[1] == [("f", 0, 900)]
    disk = Disk()
    planner = Planner(disk.fetch, Plan())

    async def main():
        rows = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
        await asyncio.gather(
            *(
                planner.read("f", r * 100, r * 100 + 100, Located("f", r * 100, 100, table, r))
                for r in rows
            )
        )

    asyncio.run(main())
    assert disk.asked == [("f", 0, 9000)]


def test_reading_ahead_stops_where_the_file_does():
    """An array in two files: each is read up to the end of its part."""
    half = np.arange(50) * 1000
    table = ChunkTable.from_columns(
        (100,),
        ("f", "g"),
        offset=np.concatenate([half, half]),
        length=np.full(100, 1000),
        url=np.repeat([0, 1], 50),
    )
    disk = Disk()
    planner = Planner(disk.fetch, Plan())
    rows = iter(range(100))

    async def reader():
        for row in rows:
            url, a, n = table.get(row)
            got = await planner.read(url, a, a + n, Located(url, a, n, table, row))
            assert bytes(got) == DATA[a : a + n]

    async def main():
        await asyncio.gather(*(reader() for _ in range(10)))

    asyncio.run(main())
    assert all(stop <= 50_000 for _, _, stop in disk.asked)
    assert len(disk.asked) <= 6


def chunk_a_file(count):
    """Return a table of an array of which each chunk lies in a file of its own."""
    return ChunkTable.from_columns(
        (count,),
        tuple(f"f{i}" for i in range(count)),
        offset=np.full(count, 500),
        length=np.full(count, 100),
        url=np.arange(count),
    )


@pytest.mark.parametrize(("name", "ahead"), [(str, True), (lambda _: None, False)])
def test_chunks_in_files_of_their_own_are_fetched_ahead_where_they_may(name, ahead):
    table = chunk_a_file(300)
    under_way = most = 0
    asked = []

    async def fetch(url, start, stop):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        asked.append((url, start, stop))
        await asyncio.sleep(0.005)
        under_way -= 1
        return url.encode().ljust(stop - start)

    planner = Planner(fetch, Plan(), name)
    rows = iter(range(300))
    got = {}

    async def reader():
        for row in rows:
            where = table.get(row)
            got[row] = await planner.read(
                where.url, where.offset, where.offset + where.length, Located(*where, table, row)
            )

    async def main():
        await asyncio.gather(*(reader() for _ in range(10)))

    asyncio.run(main())
    assert all(bytes(part).strip() == f"f{row}".encode() for row, part in got.items())
    assert sorted(asked) == sorted((f"f{row}", 500, 600) for row in range(300))
    assert (most > 40) == ahead
    assert most <= CONCURRENT


def test_ten_chunks_of_many_files_cost_few_further_requests():
    table = chunk_a_file(300)
    ranges = [(f"f{row}", 500, 600) for row in range(10)]
    _, asked = read(ranges, Plan(), table=table)
    assert set(asked) >= set(ranges)
    assert len(asked) <= 50


def test_files_that_may_not_be_read_are_not_asked_for_ahead(made, server, tmp_path):
    refs, _ = made(60, url=server.url("data.bin"))
    refs.write(tmp_path / "a.json")
    allowed = server.url("data.bin")
    reader = open_store(tmp_path / "a.json", allow=[allowed, "file"]).reader
    assert reader._name_ahead(allowed) == allowed
    assert reader._name_ahead(server.url("other.bin")) is None
    # What lies here is not read by the planner.
    assert reader._name_ahead(str(tmp_path / "data.bin")) is None


@pytest.mark.parametrize("count", [100, 1000])
def test_neighbours_through_zarr_cost_two_requests(made, server, tmp_path, count):
    refs, values = made(count, url=server.url("data.bin"))
    refs.write(tmp_path / "a.json")
    array = refmaker.open_group(tmp_path / "a.json")["x"]
    server.reset()
    np.testing.assert_array_equal(array[:], values)
    assert server.requests <= 2
    assert server.counts.bodies == values.size


def test_selections_through_zarr(made, server):
    refs, values = made(200, url=server.url("data.bin"), gap=50)
    array = zarr.open_group(open_store(refs), mode="r", zarr_format=2)["x"]
    server.reset()
    np.testing.assert_array_equal(array[5000:9000], values[5000:9000])
    assert server.requests == 1
    np.testing.assert_array_equal(array[::7000], values[::7000])
    np.testing.assert_array_equal(array.oindex[[5, 150_000, 70_000]], values[[5, 150_000, 70_000]])


def test_rules_are_read_ahead_as_well(made, server, tmp_path):
    refs, values = made(3000, 100, url=server.url("data.bin"))
    refs.write(tmp_path / "a.json", format="compact")
    array = refmaker.open_group(tmp_path / "a.json")["x"]
    server.reset()
    np.testing.assert_array_equal(array[:], values)
    assert server.requests <= 4
    assert "gen" in (tmp_path / "a.json").read_text()


def test_records_are_read_ahead_as_well(made, server, tmp_path):
    refs, values = made(3000, 100, url=server.url("data.bin"))
    refs.write(tmp_path / "a.parquet")
    array = refmaker.open_group(tmp_path / "a.parquet")["x"]
    server.reset()
    np.testing.assert_array_equal(array[:], values)
    # The first readers come one by one, as they had to wait for the record.
    assert server.requests <= 20
