import numpy as np
import pytest
import tifffile

from tests.scanners.tiff.meaning_files import noise, pixels, scanned, stock


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axes", ["TZYX", "QZYX", "ZTYX", "CZYX", None])
def test_axes_are_those_of_the_description(tmp_path, axes, compression):
    data = noise(2, 3, 32, 24)
    path = tmp_path / "a.tif"
    more = {} if axes is None else {"metadata": {"axes": axes}}
    tifffile.imwrite(path, data, photometric="minisblack", compression=compression, **more)
    z = stock(path)
    names = z["image"].attrs["_ARRAY_DIMENSIONS"]
    found = z["image"][...]
    if axes == "ZTYX":
        assert names == list("tzyx")
        found = found.swapaxes(0, 1)
    assert np.array_equal(found, data)
    assert len(set(names)) == 4
    assert names[-2:] == ["y", "x"]


def test_one_directory_for_all_planes(tmp_path):
    data = noise(4, 3, 32, 24)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack", truncate=True)
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    assert np.array_equal(stock(path)["image"][...], data)


def test_samples_stay_where_they_are_stored(tmp_path):
    data = noise(32, 24, 3, dtype=np.uint8)
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, data, photometric="rgb")
    z = stock(path)
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == ["y", "x", "s"]
    assert np.array_equal(z["image"][...], data)
    tifffile.imwrite(path, np.moveaxis(data, -1, 0), photometric="rgb", planarconfig="separate")
    z = stock(path)
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == ["s", "y", "x"]
    assert np.array_equal(z["image"][...], np.moveaxis(data, -1, 0))


def test_layout_ngff_puts_channels_first(tmp_path):
    data = noise(32, 24, 3, dtype=np.uint16)
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, data, photometric="rgb")
    z = stock(path, **{"tiff-axes": "ngff"})
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == ["c", "y", "x"]
    assert np.array_equal(z["image"][...], np.moveaxis(data, -1, 0))
    assert z.attrs["multiscales"][0]["datasets"][0]["path"] == "image"


def test_series_of_a_file_are_numbered_and_levels_follow(tmp_path):
    first, second = noise(3, 64, 64), noise(20, 30, seed=2)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(first, photometric="minisblack", subifds=1)
        tif.write(first[:, ::2, ::2], photometric="minisblack", subfiletype=1)
        tif.write(second, photometric="minisblack")
    z = stock(path)
    assert np.array_equal(z["0/0/image"][...], first)
    assert np.array_equal(z["0/1/image"][...], first[:, ::2, ::2])
    assert np.array_equal(z["1/image"][...], second)


def test_smaller_copies_behind_an_image_are_its_levels(tmp_path):
    data, other = noise(3, 64, 64), noise(3, 32, 32, seed=2)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for step in (1, 2, 4):
            level = data[:, ::step, ::step]
            tif.write(level, photometric="minisblack", subfiletype=int(step > 1))
        tif.write(other, photometric="minisblack")
        tif.write(noise(3, 16, 16), photometric="minisblack")  # of that size, but not marked
    with tifffile.TiffFile(path) as tif:
        assert [len(series.levels) for series in tif.series] == [3, 1, 1]
    z = stock(path)
    for level in range(3):
        expected = data[:, :: 1 << level, :: 1 << level]
        assert np.array_equal(z[f"0/{level}/image"][...], expected)
    assert np.array_equal(z["1/image"][...], other)
    assert z["2/image"].shape == (3, 16, 16)


def test_other_values_of_the_description_are_kept(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(16, 16), metadata={"microscope": "mine", "gain": 2.5})
    attributes = scanned(path)[0]["image"].attributes
    assert attributes["microscope"] == "mine"
    assert attributes["gain"] == 2.5


@pytest.mark.parametrize(
    "text",
    [
        '{"shape": [1000, 1000]}', '{"shape": [0]}', '{"shape": "x"}', '{"shape": [', "shape=(3, 4",
        '{"shape": [32, 24], "axes": 7}', '{"shape": [-1, -768]}', '{"shape": [1e400, 2]}',
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit_leave_the_pages(tmp_path, text):
    data = noise(32, 24)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, description=text, metadata=None)
    group, _ = scanned(path)
    assert [array.shape for array in pixels(group).values()] == [(32, 24)]
    assert np.array_equal(stock(path)["image"][...], data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("form", [{"rowsperstrip": 10}, {"rowsperstrip": 16}, {"tile": (32, 32)}])
def test_colours_become_channels_whatever_the_storage(tmp_path, dtype, compression, form):
    data = noise(3, 48, 40, 3, dtype=dtype)
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(
        path, data, photometric="rgb", compression=compression, metadata={"axes": "ZYXS"}, **form
    )
    group, _ = scanned(path, **{"tiff-axes": "ngff"})
    assert group["image"].dimension_names == tuple("czyx")
    assert np.array_equal(
        stock(path, **{"tiff-axes": "ngff"})["image"][...], np.moveaxis(data, -1, 0)
    )
    if dtype == np.uint8 and form.get("rowsperstrip") != 10 and compression != "lzw":
        # Readers without this package manage.
        assert not any(codec["id"].startswith("refmaker.") for codec in group["image"].codecs)
