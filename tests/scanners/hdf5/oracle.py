"""What h5py's high-level interface says of a file: nothing here is shared with the scanner."""

from __future__ import annotations

import h5py
import numpy as np

RENAMED = "_nc4_non_coord_"
DEPTH = 64


def text_of(name):
    """Return a link's name; h5py gives bytes, or surrogates, where it is no UTF-8."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return decoded(raw)


def address(group):
    """Return what tells an object from all others of its file; None where HDF5 cannot tell."""
    try:
        return h5py.h5o.get_info(group.id).addr
    except (OSError, RuntimeError):
        return None


def leads_out(group, name):
    """Tell whether a link is of a kind that h5py does not follow inside of the file."""
    try:
        return isinstance(group.get(name, getlink=True), h5py.ExternalLink)
    except TypeError:
        return True
    except UnicodeDecodeError:
        return False


def listed(group):
    """Return the names in a group, none if HDF5 cannot list them."""
    try:
        return list(group)
    except (OSError, RuntimeError):
        return []


def names(file):
    """Return the path of everything that links lead to, and of links that lead nowhere."""
    found = {"/"}
    open_groups = [(file["/"], "", (address(file["/"]),))]
    while open_groups:
        group, path, above = open_groups.pop()
        for name in listed(group):
            below = f"{path}/{text_of(name)}"
            found.add(below)
            if leads_out(group, name):
                continue
            try:
                member = group[name]
            except (KeyError, OSError, RuntimeError):
                continue
            if not isinstance(member, h5py.Group) or len(above) > DEPTH:
                continue
            at = address(member)
            if at is not None and at not in above:
                open_groups.append((member, below, (*above, at)))
    return found


def open_dataset(file, path):
    """Open a dataset of a reference set in its file, external raw files beside it included."""
    parent, _, leaf = path.rpartition("/")
    group = file[parent] if parent else file["/"]
    if leaf not in group:
        leaf = RENAMED + leaf if RENAMED + leaf in group else leaf.encode("latin-1")
    dataset = group[leaf]
    if not dataset.external:
        return dataset
    # While it is open in one way, HDF5 does not open it in another.
    del dataset
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_efile_prefix(b"${ORIGIN}")
    return h5py.Dataset(h5py.h5d.open(group.id, leaf.encode(), access))


def fields(values, prefix=""):
    """Yield a compound's fields flattened: members of members, elements of array members."""
    for name in values.dtype.names:
        part = values[name]
        if part.dtype.names is not None:
            yield from fields(part, f"{prefix}{name}.")
        elif part.ndim > values.ndim:
            flat = part.reshape(*values.shape, -1)
            for i in range(flat.shape[-1]):
                yield f"{prefix}{name}.{i}", flat[..., i]
        else:
            yield f"{prefix}{name}", part


def decoded(value):
    """Return text that ought to be UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def difference(file, path, found):
    """Return how values found through references differ from h5py's; an empty text if not.

    Parameters
    ----------
    file : h5py.File
    path : str
        Of the array in the reference set.
    found : numpy.ndarray
    """
    dataset, columns = split(file, path)
    if columns:
        return different_column(file, dataset, columns, np.asarray(found))
    if np.asarray(found).dtype.kind in "UT":
        found = np.asarray(found).astype(object)
    found = np.asarray(found)
    true = values_of(dataset, found.dtype)
    if found.shape != true.shape:
        return f"shape {found.shape}, h5py has {true.shape}"
    kind = dataset.id.get_type().get_class()
    if kind == h5py.h5t.REFERENCE:
        return different_references(file, true, found)
    if kind in (h5py.h5t.STRING, h5py.h5t.ARRAY) and true.dtype.kind == "O":
        texts = [decoded(value or b"") for value in true.reshape(-1).tolist()]
        return "" if found.reshape(-1).tolist() == texts else f"{found!r} instead of {texts!r}"
    if true.dtype.names is not None:
        return different_fields(true, found)
    return different_numbers(true, found)


def split(file, path):
    """Return the dataset that a path leads to, and the rest of it, which leads into its values."""
    parts = path.split("/")
    for end in range(1, len(parts)):
        if isinstance(file.get("/".join(parts[:end])), h5py.Dataset):
            return open_dataset(file, "/".join(parts[:end])), parts[end:]
    return open_dataset(file, path), []


def different_column(file, dataset, columns, found):
    """Compare a member of records, or what stands for sequences, element by element."""
    rows = np.empty(dataset.shape, dataset.dtype)
    rows[()] = dataset[()]
    for name in columns:
        if rows.dtype.names is not None:
            rows = rows[name]
            continue
        parts = list(rows.reshape(-1))
        if name == "row_size":
            rows = np.array([len(part) for part in parts], int).reshape(rows.shape)
        else:
            rows = np.concatenate(parts) if parts else np.empty(0)
    if found.shape != rows.shape:
        return f"{columns}: shape {found.shape}, {rows.shape} natively"
    for true, ours in zip(rows.reshape(-1).tolist(), found.reshape(-1).tolist(), strict=True):
        if isinstance(true, h5py.Reference):
            same = file[ours] == file[true] if true and ours else bool(true) == bool(ours)
        else:
            text = isinstance(true, bytes) and found.dtype.kind in "OTU"
            same = ours == (decoded(true) if text else true)
        if not same:
            return f"{columns}: {ours!r} instead of {true!r}"
    return ""


def values_of(dataset, dtype):
    """Return all values, without numpy's type where h5py has none for HDF5's."""
    kind = dataset.id.get_type()
    if kind.get_class() == h5py.h5t.OPAQUE:
        # Opaque types with different tags do not convert to one another, so as in the file.
        raw = np.empty(dataset.shape, f"V{kind.get_size()}")
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, kind)
        return raw if dtype.kind == "V" else raw.view(dtype)
    if kind.get_class() == h5py.h5t.BITFIELD:
        # There is no way from bit fields to integers, only to whole bit fields.
        out = np.zeros(dataset.shape, f"u{kind.get_size()}")
        whole = getattr(h5py.h5t, f"NATIVE_B{8 * kind.get_size()}")
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, out, whole)
        return out
    try:
        known = dataset.dtype
    except (KeyError, TypeError):
        known = dtype.newbyteorder("=")
    out = np.zeros(dataset.shape, known)
    if known.subdtype is not None:
        out = np.zeros((*dataset.shape, *known.subdtype[1]), known.subdtype[0])
    if out.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, out, h5py.h5t.py_create(known))
    return out


def different_references(file, true, found):
    for reference, path in zip(true.reshape(-1), found.reshape(-1), strict=True):
        same = (
            file[path] == file[reference] if reference and path else bool(reference) == bool(path)
        )
        if not same:
            return f"{path!r} is not what {reference!r} refers to"
    return ""


def different_fields(true, found):
    parts = dict(fields(true))
    left = [name for name in found.dtype.names if name not in parts]
    if set(parts) - set(found.dtype.names) or any(found.dtype[n].kind != "V" for n in left):
        return f"fields {found.dtype.names}, h5py has {list(parts)}"
    wrong = [name for name, part in parts.items() if different_numbers(part, found[name])]
    return f"fields {wrong} differ" if wrong else ""


def different_numbers(true, found):
    if true.dtype.kind == "V":
        return "" if true.tobytes() == found.tobytes() else "opaque bytes differ"
    if true.dtype.kind != found.dtype.kind:
        return f"dtype {found.dtype}, h5py has {true.dtype}"
    if true.dtype.kind in "iu" and true.dtype.itemsize != found.dtype.itemsize:
        # h5py widens what numpy has no type for; so may we, but never narrow.
        exact = bool((true.astype(found.dtype) == true).all())
        true = true.astype(found.dtype) if exact else true
    native = found.dtype.newbyteorder("=")
    if true.dtype.kind == "f" and true.dtype.itemsize != found.dtype.itemsize:
        same = np.array_equal(true.astype(found.dtype), found, equal_nan=True)
        return "" if same and np.array_equal(true, found, equal_nan=True) else "floats differ"
    if true.dtype.newbyteorder("=") != native:
        return f"dtype {found.dtype}, h5py has {true.dtype}"
    one = np.ascontiguousarray(true.astype(native)).tobytes()
    other = np.ascontiguousarray(found.astype(native)).tobytes()
    return "" if one == other else f"{found.reshape(-1)[:4]} instead of {true.reshape(-1)[:4]} ..."
