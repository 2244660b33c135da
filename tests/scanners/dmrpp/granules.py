"""Granules for tests with their documents, written from what h5py says of each dataset."""

import base64
import zlib
from xml.sax.saxutils import escape, quoteattr

import h5py
import numpy as np

TYPES = {"u1": "UInt8", "i1": "Int8", "i2": "Int16", "u2": "UInt16", "i4": "Int32", "u4": "UInt32",
         "i8": "Int64", "u8": "UInt64", "f4": "Float32", "f8": "Float64"}  # fmt: skip
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip"}
HEAD = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    '<Dataset xmlns="http://xml.opendap.org/ns/DAP/4.0#"'
    ' xmlns:dmrpp="http://xml.opendap.org/dap/dmrpp/1.0.0#" dapVersion="4.0" dmrVersion="1.0"'
    " name={name} dmrpp:href={href}{version}>\n"
)
PLACEHOLDER = "OPeNDAP_DMRpp_DATA_ACCESS_URL"


def document(path, *, href=PLACEHOLDER, version="3.21.1-243", change=None):
    """Write the document of an HDF5 file beside it, as the builder of OPeNDAP would.

    Parameters
    ----------
    path : Path
        The file.
    href : str
        What the root names.
    version : str
        Of the writer; none for an old one.
    change : callable, optional
        Returns the text to write in place of the whole document's.
    """
    told = f" dmrpp:version={quoteattr(version)}" if version else ""
    parts = [HEAD.format(name=quoteattr(path.name), href=quoteattr(href), version=told)]
    with h5py.File(path, "r") as file:
        parts += group(file)
    text = "".join([*parts, "</Dataset>\n"])
    out = path.with_name(path.name + ".dmrpp")
    out.write_text(change(text) if change is not None else text, "latin-1")
    return out


def group(node):
    parts = []
    for name, item in node.items():
        if isinstance(item, h5py.Dataset) and item.is_scale:
            parts.append(f'<Dimension name={quoteattr(name)} size="{item.shape[0]}"/>\n')
    parts += attributes(node)
    for name, item in node.items():
        if isinstance(item, h5py.Group):
            parts += [f"<Group name={quoteattr(name)}>\n", *group(item), "</Group>\n"]
        elif b"not a netCDF variable" not in item.attrs.get("NAME", b""):
            parts += variable(name, item)
    return parts


def attributes(node):
    hidden = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid",
              "_NCProperties", "_Netcdf4Coordinates", "_nc3_strict")  # fmt: skip
    for name, value in node.attrs.items():
        if name in hidden:
            continue
        values = np.atleast_1d(value)
        kind = TYPES.get(values.dtype.str[1:], "String")
        texts = [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
        inner = "".join(f"<Value>{escape(text)}</Value>" for text in texts)
        yield f'<Attribute name={quoteattr(name)} type="{kind}">{inner}</Attribute>\n'


def variable(name, dataset):
    kind = dataset.dtype
    text = h5py.check_string_dtype(kind)
    tag = "String" if text is not None else TYPES[kind.str[1:]]
    yield f"<{tag} name={quoteattr(name)}>\n"
    for axis, extent in enumerate(dataset.shape):
        scales = dataset.dims[axis].values() if not dataset.is_scale else [dataset]
        known = scales[0].name if scales else None
        yield f"<Dim name={quoteattr(known)}/>" if known else f'<Dim size="{extent}"/>'
    yield from attributes(dataset)
    if text is not None and text.length is None:
        yield vlsa(dataset)
    elif dataset.id.get_create_plist().get_layout() == h5py.h5d.COMPACT:
        data = np.asarray(dataset[...]).astype(kind.newbyteorder("<")).tobytes()
        yield f"<dmrpp:compact>{base64.b64encode(data).decode()}</dmrpp:compact>\n"
    else:
        if text is not None:
            pads = {0: "null_term", 1: "null_pad", 2: "space_pad"}
            pad = pads[dataset.id.get_type().get_strpad()]
            yield f'<dmrpp:FixedLengthStringArray string_length="{kind.itemsize}" pad="{pad}"/>\n'
        yield from chunks(dataset)
    yield f"</{tag}>\n"


def vlsa(dataset):
    parts, values = [], np.asarray(dataset.asstr()[...], object).reshape(-1).tolist()
    at = 0
    while at < len(values):
        count = 1
        while at + count < len(values) and values[at + count] == values[at]:
            count += 1
        raw, told = values[at].encode(), f' c="{count}"' if count > 1 else ""
        inner = escape(values[at])
        if len(raw) > 40:
            told += f' s="{len(raw)}"'
            inner = base64.b64encode(zlib.compress(raw)).decode()
        parts.append(f"<v{told}>{inner}</v>")
        at += count
    return f"<dmrpp:vlsa>{''.join(parts)}</dmrpp:vlsa>\n"


def chunks(dataset):
    plist = dataset.id.get_create_plist()
    told = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    words = f' byteOrder="{"BE" if dataset.dtype.byteorder == ">" else "LE"}"'
    if told:
        words += f' compressionType="{" ".join(FILTERS[f[0]] for f in told)}"'
        words += "".join(f' deflateLevel="{f[2][0]}"' for f in told if f[0] == 1)
    fill = dataset.fillvalue
    if dataset.dtype.kind in "iuf":
        words += f' fillValue="{fill.item() if hasattr(fill, "item") else fill}"'
    yield f"<dmrpp:chunks{words}>"
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is not None and dataset.id.get_storage_size():
            yield f'<dmrpp:chunk offset="{offset}" nBytes="{dataset.id.get_storage_size()}"/>'
    else:
        sizes = " ".join(map(str, dataset.chunks))
        yield f"<dmrpp:chunkDimensionSizes>{sizes}</dmrpp:chunkDimensionSizes>\n"
        found = []
        dataset.id.chunk_iter(found.append)
        for info in found:
            at = ",".join(map(str, info.chunk_offset))
            mask = f' fm="{info.filter_mask}"' if info.filter_mask else ""
            yield (
                f'<dmrpp:chunk offset="{info.byte_offset}" nBytes="{info.size}"'
                f' chunkPositionInArray="[{at}]"{mask}/>\n'
            )
    yield "</dmrpp:chunks>\n"


def values(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(1, 100, shape).astype(dtype)


def write(path, *, big=False):
    """Write a granule with variables of all kinds of storage."""
    order = ">" if big else "<"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "a granule"
        file.attrs["version"] = np.int16(3)
        lat = file.create_dataset("lat", data=np.linspace(-5, 5, 20).astype(order + "f8"))
        lat.make_scale("lat")
        lon = file.create_dataset("lon", data=np.arange(30, dtype=order + "f4"))
        lon.make_scale("lon")
        many = {"chunks": (6, 7), "fillvalue": -9}
        for name, how in {
            "plain": {},
            "deflated": {"compression": "gzip", "compression_opts": 3},
            "shuffled": {"compression": "gzip", "shuffle": True},
            "checked": {"compression": "gzip", "shuffle": True, "fletcher32": True},
            "summed": {"fletcher32": True},
        }.items():
            made = file.create_dataset(name, shape=(20, 30), dtype=order + "i4", **many, **how)
            made[:14] = values((14, 30), "i4")
            made.dims[0].attach_scale(lat)
            made.dims[1].attach_scale(lon)
            made.attrs["scale_factor"] = np.float32(0.1)
            made.attrs["valid_range"] = np.array([0, 100], "i2")
        whole = file.create_dataset("group/whole", data=values((20, 30), order + "f4"))
        whole.attrs["_FillValue"] = np.float32("nan")
        file["group"].attrs["about"] = "ä & <b>"
        file.create_dataset("group/inner/scalar", data=np.array(2.5, order + "f8"))
        file.create_dataset(
            "group/bytes", data=values((300, 7), "u1"), chunks=(50, 7), shuffle=True
        )
        file.create_dataset("never", shape=(5, 4), dtype=order + "f4", chunks=(2, 2), fillvalue=7)
        file.create_dataset("unwritten", shape=(5, 4), dtype=order + "i2")
        file.create_dataset("fixed", data=np.array([b"abc", b"d", b"ef   "] * 90, "S6"))
        texts = ["short", "short", "", "ö" * 60] * 3
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype())
        compact(file, "compact", values((5, 6), order + "i2"))
    return path


def compact(file, name, data):
    """Add a dataset whose data lie in its object header."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    made = h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(data.dtype), space, plist)
    h5py.Dataset(made)[...] = data
