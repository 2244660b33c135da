"""Messages that are walked together give what each gives that is walked alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmaker.io.source import Source
from refmaker.scanners.grib import reader, walk
from refmaker.scanners.grib.fields import FieldList
from tests.scanners.grib.messages import joined, message, sections

PLAIN = [
    message(),
    message(shortName="u", level=500),
    message(values=np.arange(50.0), Ni=10, Nj=5),
    message(parameterCategory=2, discipline=10, parameterNumber=1),
    message(productDefinitionTemplateNumber=8, shortName="tp"),
    message(packingType="grid_ieee"),
    message(bitmapPresent=1, values=np.where(np.arange(84) % 3, 5.0, 9999.0)),
]


def levelled(data):
    """Return a message with four vertical coordinate values."""
    values = np.arange(4, dtype=">f4").tobytes()
    body = b"".join(
        (len(part) + 16).to_bytes(4, "big") + b"\4\0\4" + part[7:] + values
        if part[4] == 4
        else part
        for part in sections(data)
    )
    return data[:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"


OTHERS = [
    message(1),
    joined(PLAIN[0], PLAIN[1]),
    message(packingType="grid_jpeg"),
    levelled(PLAIN[0]),
    b"\0" * 37,
    b"GRIB\0\0\0\2" + bytes(8) + b"GRIB",
    PLAIN[0][:-9] + b"8888" + b"7777",
]


def walked(path):
    """Return all that is known of a file after its walk, orders included, and of the walk."""
    with Source(path) as source, reader.HeaderReader(source) as headers:
        found = FieldList()
        it = walk.MessageWalk(headers, found)
        it.all()
    state = vars(found) | {"piles": [(kind, p.number, p.raw) for kind, p in found.piles.items()]}
    state |= {name: list(state[name].items()) for name in ("grids", "packings", "locals")}
    return state, (it.messages, it.damage, it.gaps)


def same(path):
    """Compare both ways; return how many messages were walked together."""
    together = []
    plain = walk.plain_headers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            walk,
            "plain_headers",
            lambda *given: together.append(plain(*given)) or together[-1],
        )
        found = walked(path)
        patch.setattr(walk, "_FEW", 1 << 40)
        calls = len(together)
        alone = walked(path)
        assert len(together) == calls
    assert found == alone
    return sum(len(headers.heads) for headers in together)


@pytest.mark.parametrize("one", range(len(PLAIN)))
def test_one_message_many_times(tmp_path, one):
    path = tmp_path / "file.grib2"
    path.write_bytes(PLAIN[one] * 300)
    # The first two are read before it is known that they are small.
    assert same(path) >= 290


def test_messages_of_many_layouts(tmp_path):
    path = tmp_path / "file.grib2"
    order = np.random.default_rng(1).integers(0, len(PLAIN), 600).tolist()
    path.write_bytes(b"".join(PLAIN[number] for number in order))
    assert same(path) >= 580


@pytest.mark.parametrize("other", range(len(OTHERS)))
def test_what_lies_among_them(tmp_path, other):
    path = tmp_path / "file.grib2"
    parts = [PLAIN[0] * 40, OTHERS[other], PLAIN[1] * 40, OTHERS[other] * 2, PLAIN[2] * 40]
    path.write_bytes(b"".join(parts))
    assert same(path) >= 80


def test_others_throughout_cost_no_try_each(tmp_path):
    path = tmp_path / "file.grib2"
    path.write_bytes((PLAIN[0] + OTHERS[3]) * 1000)
    tries = []
    plain = walk.plain_headers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "plain_headers", lambda *given: tries.append(1) or plain(*given))
        walked(path)
    assert len(tries) < 16


def test_blocks_of_any_length(tmp_path, monkeypatch):
    path = tmp_path / "file.grib2"
    path.write_bytes(b"".join(PLAIN) * 40)
    for block in (4096, 5001, 20_000):
        monkeypatch.setattr(reader, "_BLOCK", {True: block, False: block})
        assert same(path) > 100


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_and_cut_files(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flipped") / "file.grib2"
    order = data.draw(st.lists(st.integers(0, len(PLAIN) + len(OTHERS) - 1), min_size=30))
    parts = [PLAIN[0] * 20, *((PLAIN + OTHERS)[number] for number in order), PLAIN[1] * 20]
    whole = bytearray(b"".join(parts))
    for _ in range(data.draw(st.integers(0, 6))):
        # Most of what is looked at lies in the first bytes of a message.
        at = whole.find(b"GRIB", data.draw(st.integers(0, len(whole) - 1)))
        place = max(at, 0) + data.draw(st.integers(0, 190))
        if place < len(whole):
            whole[place] = data.draw(st.sampled_from([0, 1, 2, 7, 40, 101, 255]))
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    same(path)
