"""HDF-EOS2 files: data sets by pyhdf, the Vgroups of structures, and the structural metadata."""

from pyhdf import HDF, VS, V  # noqa: F401 - they add to HDF
from pyhdf.HDF import HC

from tests.scanners.hdf4 import files


class Field:
    """A field of a structure, which is a data set, or a Vdata if it has one dimension."""

    def __init__(self, name, dims, array, *, geolocation=False, **attributes):
        self.name, self.dims, self.array = name, dims, array
        self.geolocation, self.attributes = geolocation, attributes


def grid(name, size, corners, projection, params=(), **more):
    """Return what the metadata say of a grid."""
    (ulx, uly), (lrx, lry) = corners
    params = [*params, *(0,) * (13 - len(params))]
    said = {
        "GridName": f'"{name}"',
        "XDim": size[0],
        "YDim": size[1],
        "UpperLeftPointMtrs": f"({ulx:f},{uly:f})",
        "LowerRightMtrs": f"({lrx:f},{lry:f})",
        "Projection": projection,
    }
    if projection != "GCTP_GEO":
        said["ProjParams"] = "(" + ",".join(str(number) for number in params) + ")"
        said["SphereCode"] = -1
    said["GridOrigin"] = "HDFE_GD_UL"
    return said | more


def write(path, structures, *, vgroups=True, dims=True, attributes=()):
    """Write a file of structures: kind, what is said, fields, and dimension maps."""
    text = metadata(structures)
    refs = {}
    with files.file(path) as made:
        for part in range(0, max(len(text), 1), 32000):
            setattr(made, f"StructMetadata.{part // 32000}", text[part : part + 32000].ljust(
                32000, "\0"))  # fmt: skip
        for key, value in attributes:
            setattr(made, key, value)
        for number, (_, said, fields, _) in enumerate(structures):
            name = said.get("GridName", said.get("SwathName")).strip('"')
            for field in fields:
                if field.array.ndim > 1:
                    names = [f"{axis}:{name}" for axis in field.dims] if dims else ()
                    refs[number, field.name] = files.add(
                        made, field.name, field.array, dims=names, **field.attributes
                    )
    if vgroups:
        _group(path, structures, refs)
    return path


def _group(path, structures, refs):
    made = HDF.HDF(str(path), HC.WRITE)
    vgroups, vdatas = made.vgstart(), made.vstart()
    for number, (kind, said, fields, _) in enumerate(structures):
        top = vgroups.create(said.get("GridName", said.get("SwathName")).strip('"'))
        top._class = kind
        for title, located in (("Data Fields", False), ("Geolocation Fields", True)):
            inner = vgroups.create(title)
            inner._class = f"{kind} Vgroup"
            for field in fields:
                if field.geolocation is located:
                    if field.array.ndim > 1:
                        inner.add(720, refs[number, field.name])
                    else:
                        inner.add(1962, _vdata(vdatas, field))
            top.insert(inner)
            inner.detach()
        top.detach()
    vgroups.end()
    vdatas.end()
    made.close()


def _vdata(vdatas, field):
    one = vdatas.create(field.name, ((field.name, files.CODES[field.array.dtype.str[1:]], 1),))
    one.write([[value] for value in field.array.tolist()])
    ref = one._refnum
    one.detach()
    return ref


def metadata(structures):
    """Return the structural metadata as the HDF-EOS library writes them."""
    lines = []
    for section, kind, title in (
        ("SwathStructure", "SWATH", "SWATH"), ("GridStructure", "GRID", "GRID"),
        ("PointStructure", "POINT", "POINT"),
    ):  # fmt: skip
        lines.append(f"GROUP={section}")
        own = [one for one in structures if one[0] == kind]
        for number, (_, said, fields, maps) in enumerate(own, 1):
            lines.append(f"\tGROUP={title}_{number}")
            lines += [f"\t\t{key}={value}" for key, value in said.items()]
            lines += ["\t\tGROUP=Dimension", "\t\tEND_GROUP=Dimension", "\t\tGROUP=DimensionMap"]
            for at, (geo, data, offset, increment) in enumerate(maps, 1):
                lines += [
                    f"\t\t\tOBJECT=DimensionMap_{at}", f'\t\t\t\tGeoDimension="{geo}"',
                    f'\t\t\t\tDataDimension="{data}"', f"\t\t\t\tOffset={offset}",
                    f"\t\t\t\tIncrement={increment}", f"\t\t\tEND_OBJECT=DimensionMap_{at}",
                ]  # fmt: skip
            lines.append("\t\tEND_GROUP=DimensionMap")
            for group, key, located in (
                ("GeoField", "GeoFieldName", True), ("DataField", "DataFieldName", False),
            ):  # fmt: skip
                lines.append(f"\t\tGROUP={group}")
                for at, field in enumerate([f for f in fields if f.geolocation is located], 1):
                    axes = ",".join(f'"{axis}"' for axis in field.dims)
                    lines += [
                        f"\t\t\tOBJECT={group}_{at}", f'\t\t\t\t{key}="{field.name}"',
                        "\t\t\t\tDataType=DFNT_FLOAT32", f"\t\t\t\tDimList=({axes})",
                        f"\t\t\tEND_OBJECT={group}_{at}",
                    ]  # fmt: skip
                lines.append(f"\t\tEND_GROUP={group}")
            lines.append(f"\tEND_GROUP={title}_{number}")
        lines.append(f"END_GROUP={section}")
    return "\n".join([*lines, "END", ""])
