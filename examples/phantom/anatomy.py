"""What the phantom is made of: ellipsoids of tissue, with the noise of a scanner."""

import numpy as np

SLICES, SIZE = 40, 96
"""Slices of the CT, and its rows and columns."""
STEP, PIXEL = 5.0, 3.75
"""Distance of slices and of pixels, millimetres."""
FIRST = np.array([-178.125, -178.125, -320.0])
"""Where the centre of the first voxel lies: x, y and z, to the left, back and head."""
ORGANS = {1: "Lungs", 2: "Liver", 3: "Spine"}
COLOURS = {1: (197, 165, 145), 2: (221, 130, 101), 3: (226, 202, 134)}
"""Those of 3D Slicer for such organs."""
CODES = {1: "39607008", 2: "10200004", 3: "421060004"}
"""SNOMED CT."""


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return z, y and x of all voxels in millimetres (LPS), broadcast against one another."""
    x = FIRST[0] + PIXEL * np.arange(SIZE)
    y = FIRST[1] + PIXEL * np.arange(SIZE)
    z = FIRST[2] + STEP * np.arange(SLICES)
    return z[:, None, None], y[None, :, None], x[None, None, :]


def inside(center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    """Return which voxels lie in an ellipsoid; center and radii as (x, y, z) in millimetres."""
    z, y, x = places()
    parts = zip((x, y, z), center, radii, strict=True)
    return sum(((at - middle) / radius) ** 2 for at, middle, radius in parts) <= 1


def torso() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Hounsfield units, organs by number, and a lesion, each of shape (z, y, x)."""
    units = np.full((SLICES, SIZE, SIZE), -1000.0)
    organs = np.zeros(units.shape, np.uint8)
    z, y, x = places()
    body = (x / 160) ** 2 + (y / 110) ** 2 + 0 * z <= 1
    units[body] = -90
    units[(x / 145) ** 2 + (y / 95) ** 2 + 0 * z <= 1] = 45
    lungs = inside((-70, -5, -165), (52, 70, 85)) | inside((70, -5, -165), (52, 70, 85))
    units[lungs] = -820
    # On the patient's right, which is a negative x.
    liver = inside((-55, -15, -265), (80, 65, 42)) & ~lungs
    units[liver] = 105
    units[inside((10, -30, -185), (42, 40, 45))] = 150
    spine = ((x / 18) ** 2 + ((y - 62) / 18) ** 2 <= 1) & (z > -400)
    units[spine] = 420
    units[((x / 7) ** 2 + ((y - 62) / 7) ** 2 <= 1) & (z > -400)] = 30
    lesion = inside((-75, -25, -262), (14, 14, 12))
    units[lesion] = 40
    organs[lungs], organs[liver], organs[spine] = 1, 2, 3
    noise = np.random.default_rng(19).normal(0, 12, units.shape)
    return np.rint(units + noise), organs, lesion.astype(np.uint8)


def diffusion(b_value: float, direction: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the signal of a bundle of fibres from left to right in a round head."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, extent) for extent in shape), indexing="ij")
    head = x**2 + y**2 + z**2 <= 0.9
    fibres = head & (np.abs(y) < 0.25) & (np.abs(z) < 0.4)
    along = float(direction[0]) ** 2
    decay = np.where(fibres, 0.3e-3 + 1.4e-3 * along, 0.8e-3)
    signal = np.where(head, 900.0, 15.0) * np.exp(-b_value * decay)
    noise = np.random.default_rng([int(b_value), *np.rint(np.abs(direction) * 10).astype(int)])
    return np.rint(signal + noise.normal(0, 5, shape)).clip(0)
