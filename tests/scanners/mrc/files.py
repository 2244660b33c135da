"""Writes MRC files with mrcfile."""

import mrcfile


def write(path, values, *, order="<", volume=None, compression=None, extended=None, **fields):
    values = values.astype(values.dtype.newbyteorder(order))
    with mrcfile.new(path, overwrite=True, compression=compression) as file:
        file.set_data(values)
        if volume and values.ndim == 3:
            file.set_volume()
        if volume is False and values.ndim == 3:
            file.set_image_stack()
        file.voxel_size = (1.5, 2.5, 3.5)
        if extended is not None:
            file.set_extended_header(extended)
        for name, value in fields.items():
            file.header[name] = value
    return path
