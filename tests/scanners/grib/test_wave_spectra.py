"""Wave spectra: directions in degrees and frequencies in hertz, as ecCodes tells them."""

from __future__ import annotations

import itertools

import eccodes
import numpy as np
import pytest

import refmaker
from tests.scanners.grib.messages import GRID

DIRECTIONS, FREQUENCIES = (5.0, 95.0, 185.0, 275.0), (0.0345, 0.038, 0.0418)


def spectral(edition, direction, frequency, *, directions=DIRECTIONS, step=0, **keys):
    """Return a field of a spectrum."""
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
    try:
        for key, value in GRID.items():
            eccodes.codes_set(handle, key, value)
        if edition == 1:
            counts = {
                "centre": 98, "setLocalDefinition": 1, "localDefinitionNumber": 13,
                "paramId": 140251, "numberOfDirections": len(directions),
                "numberOfFrequencies": len(FREQUENCIES), "directionScalingFactor": 10,
                "frequencyScalingFactor": 10000, "directionNumber": direction,
                "frequencyNumber": frequency,
            }  # fmt: skip
            lists = ("scaledDirections", 10), ("scaledFrequencies", 10000)
        else:
            counts = {
                "productDefinitionTemplateNumber": 99, "numberOfWaveDirections": len(directions),
                "numberOfWaveFrequencies": len(FREQUENCIES), "scaleFactorOfWaveDirections": 1,
                "scaleFactorOfWaveFrequencies": 4, "waveDirectionNumber": direction,
                "waveFrequencyNumber": frequency, "discipline": 10, "parameterCategory": 0,
                "parameterNumber": 86,
            }  # fmt: skip
            lists = ("scaledValuesOfWaveDirections", 10), ("scaledValuesOfWaveFrequencies", 10000)
        counts |= {"forecastTime" if edition == 2 else "P1": step, **keys}
        for key, value in counts.items():
            eccodes.codes_set(handle, key, value)
        for (key, factor), values in zip(lists, (directions, FREQUENCIES), strict=True):
            eccodes.codes_set_array(handle, key, [round(value * factor) for value in values])
        seed = 100 * direction + frequency
        eccodes.codes_set_values(handle, np.random.default_rng(seed).normal(0, 1, 84))
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def variable_of(refs):
    [(path, array)] = [
        (path, array) for path, array in refs.group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    ]  # fmt: skip
    group, _, name = path.rpartition("/")
    return refmaker.open_dataset(refs, group=group)[name], array


@pytest.mark.parametrize("edition", [1, 2])
def test_directions_and_frequencies(tmp_path, edition):
    path = tmp_path / "waves.grib"
    pairs = list(itertools.product(range(1, 5), range(1, 4)))
    path.write_bytes(b"".join(spectral(edition, *pair) for pair in reversed(pairs)))
    refs = refmaker.scan(path)
    field, array = variable_of(refs)
    assert array.chunks.absent == 0
    assert field.dims[:2] == ("direction", "frequency")
    np.testing.assert_allclose(field.direction, DIRECTIONS)
    np.testing.assert_allclose(field.frequency, FREQUENCIES)
    assert field.directionNumber.values.tolist() == [1, 2, 3, 4]
    assert field.frequencyNumber.values.tolist() == [1, 2, 3]
    assert (field.direction.attrs["units"], field.frequency.attrs["units"]) == ("degree", "Hz")
    one = field.sel(direction=95, frequency=0.0418, method="nearest")
    true = np.random.default_rng(203).normal(0, 1, 84)
    np.testing.assert_allclose(one.values.reshape(-1), true, atol=1e-3)
    assert [
        check.reason
        for check in refmaker.verify(refs, sample=None, isolate="never")
        if not check.ok
    ] == []


@pytest.mark.parametrize("edition", [1, 2])
def test_one_direction(tmp_path, edition):
    path = tmp_path / "waves.grib"
    path.write_bytes(spectral(edition, 3, 1) + spectral(edition, 3, 3))
    field, _ = variable_of(refmaker.scan(path))
    assert float(field.direction) == 185
    assert int(field.directionNumber) == 3
    np.testing.assert_allclose(field.frequency, [FREQUENCIES[0], FREQUENCIES[2]])


@pytest.mark.parametrize("edition", [1, 2])
def test_lists_that_differ_or_say_nothing_leave_numbers(tmp_path, edition):
    path = tmp_path / "waves.grib"
    other = (0.0, 90.0, 180.0, 270.0)
    path.write_bytes(
        spectral(edition, 1, 1) + spectral(edition, 2, 1, step=6, directions=other)
        + spectral(edition, 1, 2)
    )  # fmt: skip
    found = [
        array.dimension_names for _, array in refmaker.scan(path).group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    ]  # fmt: skip
    # Either fields of other lists are other variables, or the numbers stand.
    assert len(found) > 1 or "directionNumber" in found[0]
    path.write_bytes(b"".join(spectral(edition, k, 1, directions=(7.0,) * 4) for k in (1, 2)))
    field, _ = variable_of(refmaker.scan(path))
    assert field.dims[0] == "directionNumber"
