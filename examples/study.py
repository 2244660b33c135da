"""A study from its folder to a tree, to images of nibabel and SimpleITK; a slide to ome-zarr."""

from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK
import zarr
from ome_zarr.format import FormatV04
from ome_zarr.io import ZarrLocation
from ome_zarr.reader import Reader
from phantom import write_slide, write_study

import refmaker


def main() -> None:
    with TemporaryDirectory() as folder:
        study = str(write_study(f"{folder}/study"))
        names = {"settings": {"series-names": "modality"}}

        # The whole study in one line: a group for each series, labels beside their image.
        # xarray.open_datatree(study, engine="refmaker", scan=names) is the same.
        tree = refmaker.open_datatree(study, scan=names)
        for group in tree.subtree:
            if "image" in group:
                print(group.path, dict(group.image.sizes))

        # Labels stand on the voxels of the CT: 2 is the liver.
        ct, organs = tree["study-1/CT-2"], tree["study-1/CT-2/labels/SEG-301"]
        print("liver:", round(float(ct.image.where(organs.image == 2).mean())), ct.image.units)

        # Any volume as an image of nibabel, read when it is used, or of SimpleITK.
        image = refmaker.to_nibabel(study, "study-1/CT-2", scan=names)
        print("nibabel:", image.shape, image.affine[:3, 3].tolist(), image.dataobj[48, 72, 20])
        itk = refmaker.to_sitk(study, "study-1/CT-2", scan=names)
        print("SimpleITK:", itk.GetSize(), itk.GetOrigin(), itk.GetPixel(48, 72, 20))
        corner = np.array(itk.TransformIndexToPhysicalPoint((95, 0, 39)))
        assert np.allclose(corner * [-1, -1, 1], (image.affine @ [95, 0, 39, 1])[:3])
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(f"{study}/ct"))
        own = SimpleITK.GetArrayFromImage(reader.Execute())
        assert np.array_equal(SimpleITK.GetArrayFromImage(itk), own)

        # Directions of a diffusion series as FSL has them.
        values, vectors = refmaker.fsl_gradients(study, "study-1/MR-5", scan=names)
        print("diffusion:", values.tolist(), vectors[1].tolist())

        # A slide by the reader of ome-zarr, without refmaker: a pyramid, largest level first.
        refmaker.scan(write_slide(f"{folder}/slide")).write(f"{folder}/slide.json")
        options = {"fo": f"{folder}/slide.json"}
        slide = zarr.open_group("reference://", mode="r", storage_options=options).store
        # A copy for programs that know no references: CT and labels are one image for them.
        refmaker.materialize(refmaker.scan(study, **names), f"{folder}/copy")
        for store in slide, f"{folder}/copy/study-1/CT-2":
            for node in Reader(ZarrLocation(store, fmt=FormatV04()))():
                if node.data:
                    name = node.metadata["name"]
                    print("ome-zarr:", name, [level.shape for level in node.data])


if __name__ == "__main__":
    main()
