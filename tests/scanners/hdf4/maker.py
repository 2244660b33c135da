"""HDF4 files made of bytes, for what no library writes, or not at will."""

import struct

import numpy as np

MAGIC = b"\x0e\x03\x13\x01"
SPECIAL = 0x4000
TYPES = {"i1": 20, "u1": 21, "i2": 22, "u2": 23, "i4": 24, "u4": 25, "f4": 5, "f8": 6}
BIG, LITTLE = 1, 4


class Maker:
    """Elements of a file, in the order in which they are written.

    Parameters
    ----------
    slots : int
        Descriptors of a block.
    """

    def __init__(self, slots=16):
        self.slots = slots
        self.elements = []
        self.ref = 1

    def add(self, tag, data, ref=None, *, special=False, gap=0, nowhere=False):
        """Add an element; returns its reference number."""
        if ref is None:
            self.ref += 1
            ref = self.ref
        bit = SPECIAL if special else 0
        self.elements.append((tag | bit, ref, bytes(data), gap, nowhere))
        return ref

    def dataset(self, array, data=True, *, kind=None, order=BIG, shape=None, code=None):
        """Add a data set without Vgroups; returns its reference number."""
        shape = array.shape if shape is None else shape
        kind = kind or array.dtype.str[1:]
        width = 8 * np.dtype(kind).itemsize
        number = self.add(106, bytes((1, TYPES[kind] if code is None else code, width, order)))
        rank = len(shape)
        pairs = struct.pack(">HH", 106, number) * (1 + rank)
        dims = self.add(701, struct.pack(f">H{rank}i", rank, *shape) + pairs)
        members = [(106, number), (701, dims)]
        if data is True:
            data = self.add(702, array.astype(np.dtype(kind).newbyteorder(">")).tobytes())
        if data:
            members.append((702, data))
        return self.add(720, b"".join(struct.pack(">HH", *one) for one in members))

    def linked(self, parts, length=None, block=None, *, cycle=False, per_table=None):
        """Add data in linked blocks, None for one that is not there; returns their number."""
        refs = [0 if part is None else self.add(20, part, gap=7) for part in parts]
        per_table = per_table or len(refs)
        tables = [refs[at : at + per_table] for at in range(0, len(refs), per_table)]
        following = 0
        for number, table in reversed(list(enumerate(tables))):
            if cycle and number == len(tables) - 1:
                following = self.ref + len(tables)
            following = self.add(20, struct.pack(f">{len(table) + 1}H", following, *table))
        sizes = [len(part) for part in parts if part is not None]
        block = block or max(sizes)
        total = sum(block if part is None else len(part) for part in parts)
        total = length if length is not None else total
        head = struct.pack(">HiiiH", 1, total, block, per_table, following)
        return self.add(702, head, special=True)

    def compressed(self, data, nbytes, coder, parameters=b"", *, model=0, tag=702, parts=None):
        """Add compressed data; returns their reference number."""
        ref = self.add(40, data) if parts is None else self.linked_data(parts)
        head = struct.pack(">HHIHHH", 3, 0, nbytes, ref, model, coder) + parameters
        return self.add(tag, head, special=True)

    def linked_data(self, parts):
        """Add compressed data in linked blocks."""
        refs = [self.add(20, part, gap=5) for part in parts]
        table = self.add(20, struct.pack(f">{len(refs) + 1}H", 0, *refs))
        total, block = sum(map(len, parts)), max(map(len, parts))
        head = struct.pack(">HiiiH", 1, total, block, len(refs), table)
        return self.add(40, head, special=True)

    def vdata(self, name, kind, fields, rows, data):
        """Add a Vdata by record: fields of name, number type, bytes, and order."""
        ref = self.add(1963, data)
        starts = np.cumsum([0, *(size for _, _, size, _ in fields)])
        head = struct.pack(">HiHH", 0, rows, int(starts[-1]), len(fields))
        for column in ([f[1] for f in fields], [f[2] for f in fields], starts[:-1].tolist(),
                       [f[3] for f in fields]):  # fmt: skip
            head += struct.pack(f">{len(column)}H", *column)
        for text in (*(f[0] for f in fields), name, kind):
            head += struct.pack(">H", len(text)) + text.encode()
        self.add(1962, head + struct.pack(">HHHH", 0, 0, 3, 0) + b"\0", ref)
        return ref

    def vgroup(self, name, kind, members):
        """Add a Vgroup of (tag, reference number)."""
        head = struct.pack(f">H{len(members)}H", len(members), *(tag for tag, _ in members))
        head += struct.pack(f">{len(members)}H", *(ref for _, ref in members))
        for text in (name, kind):
            head += struct.pack(">H", len(text)) + text.encode()
        return self.add(1965, head + struct.pack(">HHHH", 0, 0, 3, 0) + b"\0")

    def chunked(self, shape, chunk, itemsize, chunks, *, fill=b"", coder=None):
        """Add data in chunks: bytes by place, or reference numbers of compressed ones."""
        rows = b""
        for at, data in chunks.items():
            ref = data if isinstance(data, int) else self.add(61, data)
            rows += struct.pack(f">{len(at)}iHH", *at, 61, ref)
        rank = len(shape)
        fields = [("origin", 24, 4 * rank, rank), ("chk_tag", 23, 2, 1), ("chk_ref", 23, 2, 1)]
        table = self.vdata("table", "_HDF_CHK_TBL_0", fields, len(chunks), rows)
        nbytes = int(np.prod(chunk)) * itemsize
        body = struct.pack(
            ">BiiiiHHHHi", 0, 3 if coder else 0, int(np.prod(shape)) * itemsize, nbytes, itemsize,
            1962, table, 1, 0, rank,
        )  # fmt: skip
        for extent, size in zip(shape, chunk, strict=True):
            body += struct.pack(">iii", 0, extent, size)
        body += struct.pack(">i", len(fill)) + fill
        if coder:
            body += struct.pack(">Hi", 3, len(coder)) + coder
        return self.add(702, struct.pack(">Hi", 5, len(body)) + body, special=True)

    def bytes(self, *, cycle=False):
        """Return the file: each block of descriptors lies before what it describes."""
        out = bytearray(MAGIC)
        groups = [
            self.elements[at : at + self.slots] for at in range(0, len(self.elements), self.slots)
        ]
        for number, group in enumerate(groups):
            start = len(out)
            out += bytes(6 + 12 * self.slots)
            rows = []
            for tag, ref, data, gap, nowhere in group:
                out += bytes([0xEE]) * gap
                rows.append((tag, ref, *((0xFFFFFFFF,) * 2 if nowhere else (len(out), len(data)))))
                out += data
            rows += [(1, 0, 0, 0)] * (self.slots - len(rows))
            following = len(out) if number + 1 < len(groups) else 4 if cycle else 0
            struct.pack_into(">HI", out, start, self.slots, following)
            for at, row in enumerate(rows):
                struct.pack_into(">HHII", out, start + 6 + 12 * at, *row)
        return bytes(out)

    def write(self, path, **how):
        """Write the file."""
        path.write_bytes(self.bytes(**how))
        return path
