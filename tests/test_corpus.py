"""Real files of other people's making, in the folders that ``REFMAKER_CORPUS`` names.

Each is scanned or refused cleanly, everything referenced equals what the format's own library
reads, and every object is accounted for. The shares are printed and may only improve.
"""

from __future__ import annotations

import csv
import re
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import tifffile
from astropy.io import fits
from pyhdf.SD import SD

from refmaker.errors import RefmakerError, WorkerError
from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.model.report import Outcome
from refmaker.scanners.dicom import DICOMScanner
from refmaker.scanners.fits import FITSScanner
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.scanners.tiff.directory import is_tiff, read_directory
from refmaker.scanning.protocol import SNIFF_BYTES, choose
from refmaker.testing import open_stock
from refmaker.verification.verify import same_values
from tests.corpora import CORPORA
from tests.scanners.grib import messages
from tests.scanners.hdf5 import oracle as h5_oracle
from tests.watched import LIMIT, WatchedWorker

HERE = Path(__file__).parent
SHARES = {
    ("corpus", "hdf4"): (11, 116, 7),
    ("corpus", "hdf5"): (124, 2893, 82),
    ("corpus", "netcdf3"): (23, 223, 2),
    ("corpus", "grib"): (80, 1791, 1),
    ("corpus", "tiff"): (165, 366, 73),
    ("corpus", "dicom"): (167, 664, 108),
    ("corpus_more", "hdf4"): (7, 55, 5),
    ("corpus", "fits"): (13, 142, 1),
    ("corpus_more", "fits"): (9, 61, 1),
    ("corpus_more", "hdf5"): (89, 2769, 31),
    ("corpus_more", "netcdf3"): (14, 463, 0),
    ("corpus_more", "grib"): (55, 1073, 0),
    ("corpus_more", "tiff"): (108, 267, 40),
    ("corpus_more", "dicom"): (115, 296, 81),
}
"""Files read, objects kept and objects refused: the latter may only become fewer."""
TIMEOUT = 60
KEPT = {Outcome.REFERENCED, Outcome.INLINED, Outcome.DUPLICATED}


def misnamed(file, group, path=""):
    """Compare the names of dimensions with those that the netCDF library gives."""
    arrays = dict(group.arrays())
    for name, variable in file.variables.items():
        array = arrays.get(f"{path}{name}")
        if array is not None:
            ours = tuple(n.rpartition("/")[2] for n in array.dimension_names)
            yield "" if ours == variable.dimensions else f"{name}: {ours}, {variable.dimensions}"
    for name, below in file.groups.items():
        yield from misnamed(below, group, f"{path}{name}/")


class HDF5:
    """HDF5 and netCDF4, read by h5py."""

    # What HDF5 and its plugins here cannot read themselves: nothing to compare with.
    broken = frozenset()
    unreadable = frozenset(
        {
            ("hdf5plugin__test_zfp_110xxx.h5", "compressed"),  # of a later plugin than there is
            ("purehdf__blosc.h5", "snappy"),  # Blosc is built without that compressor
        }
    )

    def open(self, path):
        import hdf5plugin  # noqa: F401 - the filters that real files use

        return h5py.File(path, "r", locking=False)

    def objects(self, file):
        return h5_oracle.names(file)

    def misnamed(self, path, group):
        """Return the variables of netCDF4 files whose dimensions have other names for netCDF."""
        if path.suffix not in (".nc", ".nc4"):
            return []
        with netCDF4.Dataset(path) as file:
            return [text for text in misnamed(file, group) if text]

    def difference(self, file, name, found):
        return h5_oracle.difference(file, name, found)


class NetCDF3:
    """NetCDF classic, read by the netCDF library."""

    unreadable = frozenset()
    # The library refuses the whole file.
    broken = frozenset({"netcdfc__bad_cdf5_begin.nc"})

    def open(self, path):
        return netCDF4.Dataset(path)

    def objects(self, file):
        return {"/", *(f"/{name}" for name in file.variables)}

    def misnamed(self, path, group):
        with netCDF4.Dataset(path) as file:
            return [text for text in misnamed(file, group) if text]

    def difference(self, file, name, found):
        variable = file[name]
        variable.set_auto_maskandscale(False)
        variable.set_auto_chartostring(False)
        true = np.asarray(variable[...])
        return h5_oracle.different_numbers(true, np.asarray(found).reshape(true.shape))


MILTON = "surface/max/percentile"


class GRIB:
    """GRIB editions 1 and 2, read by ecCodes."""

    # One file, of an image too wide for libpng, is kept as the bytes that it is.
    broken = frozenset()
    unreadable = frozenset(
        {
            # A projection with a scale of 0.
            ("eccodes__transverse_mercator.grib", "heightAboveGround/instant/latitude"),
            ("eccodes__transverse_mercator.grib", "heightAboveGround/instant/longitude"),
            # 47 million points, a minute for each.
            ("grib2io__2024101012_Milton_Adv22_e70_cum_dat.grb", f"{MILTON}/latitude"),
            ("grib2io__2024101012_Milton_Adv22_e70_cum_dat.grb", f"{MILTON}/longitude"),
        }
    )
    most = 1_500_000
    """Points whose latitudes are compared with ecCodes', which takes it minutes for more."""

    def __init__(self):
        self.group = None

    @contextmanager
    def open(self, path):
        with Source(path) as source, GRIBScanner().native(source) as native:
            yield path, native

    def objects(self, file):
        return {"/"}

    def misnamed(self, path, group):
        self.group = group
        counts = group.attributes["refmaker:fields"]
        true = messages.count(path)
        told = counts["placed"] + counts["duplicates"] + counts["unsorted"]
        return [] if true == told == counts["found"] else [f"{counts}, but ecCodes finds {true}"]

    def difference(self, file, name, found):
        array = self.group[name]
        kind = name.rpartition("/")[2].partition("_")[0]
        if found.size > self.most and kind in ("latitude", "longitude"):
            return ""
        true = file[1].read(name, array, tuple(slice(0, extent) for extent in array.shape))
        same = same_values(np.asarray(found).astype(array.dtype), true.astype(array.dtype))
        return "" if same else "other values"


class TIFF:
    """TIFF and what is built on it, read by tifffile, or by GDAL where that cannot."""

    # A fuzzed strip of PackBits that nothing decodes is refused while scanning.
    # Fuzzed: tifffile does not even open them.
    broken = frozenset(
        {
            f"imagetiff__id={name}"
            for name in (
                "000010_sig=06_src=000036_op=havoc_rep=16",
                "000013_sig=06_src=000232_op=havoc_rep=2",
                "000021_sig=06_src=000036_000170_op=splice_rep=4",
                "000023_sig=06_src=000124_000267_op=splice_rep=4",
                "000029_sig=06_src=000354_op=havoc_rep=32",
                "000060_sig=06_src=000363_op=havoc_rep=2",
                "000003_sig=06_src=000297_op=havoc_rep=16",
                "000039_sig=06_src=000298_op=havoc_rep=8",
                "000059_sig=06_src=000363_op=havoc_rep=4",
            )
        }
        | {"imagetiff__graydepth-invert-overflow-9f2f479685f84884.tiff"}
    )
    unreadable = frozenset()

    def __init__(self):
        self.group = None

    @contextmanager
    def open(self, path):
        with Source(path) as source:
            # Files that are DICOM as well are scanned as that.
            scanner = choose(source.read_upto(0, SNIFF_BYTES), str(path))
            with scanner.native(source) as native:
                yield native

    def objects(self, native):
        return {"/"}

    def misnamed(self, path, group):
        """Compare the number of pages with tifffile's, unless the chain is damaged."""
        self.group = group
        if path.name == "twelvemonkeys__noeof.tif":
            # It ends before the next offset, for which tifffile takes what it read last.
            return []
        with Source(path) as source:
            head = source.read_upto(0, SNIFF_BYTES)
            if not is_tiff(head) or choose(head, str(path)).name != "tiff":
                # DICOM with a preamble that is TIFF no more; the companion of an OME-TIFF set.
                return []
            found = read_directory(source)
        try:
            with tifffile.TiffFile(path) as file:
                true = len(file.pages)
        except (ValueError, IndexError):
            return []
        same = true == found.main or found.troubles
        return [] if same else [f"{found.main} pages, tifffile finds {true}"]

    def difference(self, native, name, found):
        array = self.group[name]
        true = native.read(name, array, tuple(slice(0, extent) for extent in array.shape))
        same = same_values(np.asarray(found).astype(array.dtype), true.astype(array.dtype))
        return "" if same else "other values"


class HDF4:
    """HDF4 and HDF-EOS2, read by the HDF library."""

    broken = frozenset()
    unreadable = frozenset(
        {
            # pyhdf's build of the library has no SZIP; see scanners/hdf4/test_real_files.py.
            ("hdf4__sds_szipped.dat", "TwoDimsInt32"),
            ("hdf4__sds_compressed.hdf", "SDSszip"),
        }
    )

    def __init__(self):
        self.group = None

    @contextmanager
    def open(self, path):
        with Source(path) as source, HDF4Scanner().native(source) as native:
            yield path, native

    def objects(self, file):
        """Return what the library lists, but for values of dimensions, which nobody may have."""
        datasets = SD(str(file[0]))
        listed = [datasets.select(index) for index in range(datasets.info()[0])]
        names = {one.info()[0] for one in listed if not one.iscoordvar()}
        datasets.end()
        found = {path.rpartition("/")[2]: path for path, _ in self.group.arrays()}
        return {"/", *(found.get(name, name) for name in names), *file[1].images.names}

    def misnamed(self, path, group):
        self.group = group
        return []

    def difference(self, file, name, found):
        array = self.group[name]
        true = file[1].read(name, array, tuple(slice(0, extent) for extent in array.shape))
        if same_values(np.asarray(found).astype(array.dtype), true.astype(array.dtype)):
            return ""
        most = np.abs(found.astype(np.float64) - true.astype(np.float64)).max()
        lossy = array.compressor == {"id": "imagecodecs_jpeg"}
        return "" if lossy and most <= 1 else f"other values, by up to {most}"


_CT = "cornerstone__CTImage.dcm_JPEG"


class DICOM:
    """DICOM, read by pydicom with all decoders that it knows."""

    broken = frozenset()
    unreadable = frozenset(
        {
            # Compressions that pydicom does not decode, or not of such cells.
            (f"{_CT}Process10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm", "image"),
            (f"{_CT}Process6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm", "image"),
            ("dicomtestfiles__RG3_JPLY", "image"),
            ("dicomtestfiles__XA1_JPLY", "image"),
            ("pydicomdata__emri_small_jpeg_2k_lossless_too_short.dcm", "image"),
            ("pydicomdata__liver_deflate.dcm", "image"),
            ("pydicomdata__liver_nonbyte_aligned_rle.dcm", "image"),
            ("pydicomdata__liver_nonbyte_aligned_deflate.dcm", "image"),
            ("pydicomdata__liver_rle.dcm", "image"),
        }
    )
    lossy = ("JPEG", "jpeg")
    """In the names of files whose decoders may differ by one from one another."""

    def __init__(self):
        self.group = None

    @contextmanager
    def open(self, path):
        with Source(path) as source, DICOMScanner().native(source) as native:
            yield path, native

    def objects(self, file):
        return {"/"}

    def misnamed(self, path, group):
        self.group = group
        return []

    def difference(self, file, name, found):
        path, native = file
        array = self.group[name]
        true = native.read(name, array, tuple(slice(0, extent) for extent in array.shape))
        if same_values(np.asarray(found).astype(array.dtype), true.astype(array.dtype)):
            return ""
        most = np.abs(found.astype(np.float64) - true.astype(np.float64)).max()
        lossy = any(part in path.name for part in self.lossy)
        return "" if lossy and most <= 1 else f"other values, by up to {most}"


class FITS:
    """FITS, read by astropy."""

    # Astropy does not open it: what follows an empty image is no header.
    broken = frozenset({"pillow__hopper_naxis_zero.fits"})
    unreadable = frozenset()

    def __init__(self):
        self.group = None

    @contextmanager
    def open(self, path):
        with Source(path) as source, FITSScanner().native(source) as native:
            yield path, native

    def objects(self, file):
        return {"/"}

    def misnamed(self, path, group):
        """Compare units and their columns with those that astropy finds."""
        self.group = group
        parts = [group, *(part for part in group.members.values() if isinstance(part, Group))]
        with fits.open(path) as units:
            if len(units) != len(parts):
                return [f"{len(parts)} units, astropy finds {len(units)}"]
            missing = [
                {re.sub(r"[/\\]", "_", name) for name in unit.columns.names} - set(part.members)
                for unit, part in zip(units, parts, strict=True)
                if isinstance(unit, fits.BinTableHDU | fits.TableHDU)
            ]
        return [f"no columns {sorted(names)}" for names in missing if names]

    def difference(self, file, name, found):
        array, native = self.group[name], file[1]
        true = native.read(name, array, tuple(slice(0, extent) for extent in array.shape))
        tolerance = native.tolerance(name, array)
        same = same_values(np.asarray(found).astype(array.dtype), true)
        near = tolerance is not None and np.allclose(found, true, rtol=0, atol=tolerance.absolute)
        return "" if same or near else "other values"


FORMATS = {
    "dicom": DICOM(),
    "fits": FITS(),
    "hdf4": HDF4(),
    "hdf5": HDF5(),
    "netcdf3": NetCDF3(),
    "grib": GRIB(),
    "tiff": TIFF(),
}


@cache
def index():
    """Return (corpus, format, path) of the files of formats that have a scanner."""
    found = []
    for corpus in CORPORA:
        if (corpus / "INDEX.tsv").exists():
            with (corpus / "INDEX.tsv").open(newline="") as lines:
                rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
                found += [
                    (corpus, row["format"], row["path"]) for row in rows if row["format"] in FORMATS
                ]
    return tuple(found)


class Examiner:
    """Scans files in one worker, each once."""

    def __init__(self):
        self.worker = WatchedWorker()
        self.seen = {}

    def examine(self, kind, path):
        """Return the report, None if the file was refused, and all that is wrong."""
        if path not in self.seen:
            self.seen[path] = self._examine(FORMATS[kind], path)
        return self.seen[path]

    def _examine(self, kind, path):
        try:
            group, report = self.worker.scan(path, timeout=TIMEOUT)
        except WorkerError as error:
            return None, [str(error)]
        except RefmakerError as error:
            return None, [] if str(path) in str(error) else [f"no file is named: {error}"]
        # A file may be of another format as well, which its first bytes then name.
        kind = FORMATS.get(report.format, kind)
        if path.name in kind.broken:
            return report, [f"{name} in a broken file" for name, _ in group.arrays()]
        with kind.open(path) as file:
            rows = {row.path.strip("/") for row in report.rows}
            misnamed = kind.misnamed(path, group)
            names = {name.strip("/") for name in kind.objects(file)}
            wrong = [f"no row for {name}" for name in sorted(names - rows)] + misnamed
            stock = open_stock(group)
            for name, _ in group.arrays():
                if (path.name, name) in kind.unreadable:
                    continue
                try:
                    values = stock[name][...]
                    if np.ndim(values) == 0 and stock[name].dtype.kind == "S":
                        # Alone, numpy cuts a text behind its last character.
                        values = np.asarray(values, stock[name].dtype)
                    told = kind.difference(file, name, values)
                except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
                    told = f"{type(error).__name__}: {error}"
                if told:
                    wrong.append(f"{name}: {told}")
        return report, wrong


@pytest.fixture(scope="module")
def examiner():
    found = Examiner()
    yield found
    found.worker.close()


ABSENT = pytest.mark.skipif(not index(), reason="the corpus is not there; see REFMAKER_CORPUS")


@ABSENT
@pytest.mark.parametrize(
    ("corpus", "kind", "path"),
    [
        pytest.param(corpus, kind, path, id=f"{corpus.name}/{path}")
        for corpus, kind, path in index()
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_file(examiner, corpus, kind, path):
    _, wrong = examiner.examine(kind, corpus / path)
    assert wrong == []


@ABSENT
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("corpus", CORPORA, ids=[corpus.name for corpus in CORPORA])
@pytest.mark.filterwarnings("ignore")
def test_shares(examiner, corpus, kind, summary):
    paths = [folder / path for folder, of, path in index() if (folder, of) == (corpus, kind)]
    reports = [examiner.examine(kind, path)[0] for path in paths]
    read = [report for report in reports if report is not None]
    counts = {outcome: sum(r.count(outcome) for r in read) for outcome in Outcome}
    kept = sum(counts[outcome] for outcome in KEPT)
    shares = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    summary.append(f"{corpus.name} {kind}: {len(read)} of {len(reports)} files read; {shares}")
    least = SHARES.get((corpus.name, kind), (0, 0, 0))
    assert len(read) >= least[0]
    assert kept >= least[1]
    assert counts[Outcome.SKIPPED] <= least[2]
    # What scanning all of these took, and anything else that this process has examined.
    assert 0 < examiner.worker.peak < LIMIT
