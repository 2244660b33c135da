"""What is written in the background: all of it, however the block ends, and no more at a time."""

import threading
import time

import pytest

from refmaker.cli import background_writer
from refmaker.cli.background_writer import BackgroundWriter


def test_everything_comes_back_once():
    batches = []

    def write(things):
        batches.append(list(things))
        return [thing * 2 for thing in things]

    with BackgroundWriter(write, 1) as writer:
        found = [result for number in range(1000) for result in writer.add(number)]
        found += writer.finish()
    assert found == [2 * number for number in range(1000)]
    assert [thing for batch in batches for thing in batch] == list(range(1000))
    assert max(map(len, batches)) <= background_writer._TOGETHER
    assert len(batches) < 500


def test_others_help_where_writing_is_slow():
    running, most, lock = 0, 0, threading.Lock()

    def write(things):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return things

    with BackgroundWriter(write, 4) as writer:
        found = [result for number in range(2000) for result in writer.add(number)]
        found += writer.finish()
    assert sorted(found) == list(range(2000))
    assert 2 <= most <= 4


def test_what_was_added_is_written_however_the_block_ends():
    written = []

    def write(things):
        written.extend(things)
        return things

    def broken_off():
        with BackgroundWriter(write, 2) as writer:
            for number in range(100):
                writer.add(number)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert sorted(written) == list(range(100))


def test_what_fails_is_raised_and_blocks_nothing(monkeypatch):
    monkeypatch.setattr(background_writer, "_WAITING", 10)

    def write(things):
        raise RuntimeError(f"a bug at {things[0]}")

    with BackgroundWriter(write, 2) as writer:
        for number in range(100):
            writer.add(number)
        with pytest.raises(RuntimeError, match="a bug at 0"):
            writer.finish()
