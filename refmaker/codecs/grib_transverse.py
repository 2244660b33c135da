"""The transverse Mercator projection and the view from a satellite.

The first after C. F. F. Karney, *Transverse Mercator with an accuracy of a few nanometers* (2011),
Krüger's series to sixth order; the second after CGMS 03, *LRIT/HRIT Global Specification*, 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from refmaker.codecs.grib_projections import Ellipsoid, Pair

__all__ = ["Geostationary", "TransverseMercator"]


class TransverseMercator:
    """Transverse Mercator projection.

    Parameters
    ----------
    earth : Ellipsoid
        Figure of the earth.
    latitude, meridian : float
        Where northing and easting are those of the origin, in radians.
    scale : float
        Scale factor on the central meridian.
    easting, northing : float
        False easting and northing in metres.
    """

    def __init__(
        self,
        earth: Ellipsoid,
        latitude: float,
        meridian: float,
        scale: float,
        offset: tuple[float, float],
    ) -> None:
        if not 0 < scale < 1e3:
            raise FormatError(f"a scale factor of {scale}")
        self.earth, self.meridian = earth, meridian
        self._easting, self._northing = offset
        n = (earth.major - earth.minor) / (earth.major + earth.minor)
        square = n * n
        self._scale = (
            scale * earth.major / (1 + n) * (1 + square / 4 + square**2 / 64 + square**3 / 256)
        )
        self._alpha = _series(n, _ALPHA)
        self._beta = _series(n, _BETA)
        _, self._zero = self._project(latitude, 0.0)

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y (Karney, equations 7 to 11)."""
        x, y = self._project(latitude, np.asarray(longitude) - self.meridian)
        return x + self._easting, y - self._zero + self._northing

    def _project(self, latitude: Any, angle: Any) -> Any:
        e = self.earth.eccentricity
        sine = np.sin(latitude)
        tau = np.sinh(np.arctanh(sine) - e * np.arctanh(e * sine))
        xi, eta = (
            np.arctan2(tau, np.cos(angle)),
            np.arcsinh(np.sin(angle) / np.hypot(tau, np.cos(angle))),
        )
        whole = xi + 1j * eta
        for index, factor in enumerate(self._alpha, 1):
            whole = whole + factor * np.sin(2 * index * (xi + 1j * eta))
        return self._scale * np.imag(whole), self._scale * np.real(whole)

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude (Karney, equations 11, 15 to 21)."""
        whole = (np.asarray(y) - self._northing + self._zero) / self._scale + 1j * (
            np.asarray(x) - self._easting
        ) / self._scale
        plane = whole
        for index, factor in enumerate(self._beta, 1):
            plane = plane - factor * np.sin(2 * index * whole)
        xi, eta = np.real(plane), np.imag(plane)
        sine = np.sin(xi) / np.hypot(np.sinh(eta), np.cos(xi))
        t = np.exp(-np.arcsinh(sine))
        longitude = self.meridian + np.arctan2(np.sinh(eta), np.cos(xi))
        return self.earth.latitude_of_t(t), longitude


_ALPHA = (
    (0, 1 / 2, -2 / 3, 5 / 16, 41 / 180, -127 / 288, 7891 / 37800),
    (0, 0, 13 / 48, -3 / 5, 557 / 1440, 281 / 630, -1983433 / 1935360),
    (0, 0, 0, 61 / 240, -103 / 140, 15061 / 26880, 167603 / 181440),
    (0, 0, 0, 0, 49561 / 161280, -179 / 168, 6601661 / 7257600),
    (0, 0, 0, 0, 0, 34729 / 80640, -3418889 / 1995840),
    (0, 0, 0, 0, 0, 0, 212378941 / 319334400),
)
"""Coefficients of the powers of the third flattening (Karney, equation 35)."""
_BETA = (
    (0, 1 / 2, -2 / 3, 37 / 96, -1 / 360, -81 / 512, 96199 / 604800),
    (0, 0, 1 / 48, 1 / 15, -437 / 1440, 46 / 105, -1118711 / 3870720),
    (0, 0, 0, 17 / 480, -37 / 840, -209 / 4480, 5569 / 90720),
    (0, 0, 0, 0, 4397 / 161280, -11 / 504, -830251 / 7257600),
    (0, 0, 0, 0, 0, 4583 / 161280, -108847 / 3991680),
    (0, 0, 0, 0, 0, 0, 20648693 / 638668800),
)
"""The same for the inverse (equation 36)."""


def _series(n: float, table: tuple[tuple[float, ...], ...]) -> list[float]:
    return [sum(factor * n**power for power, factor in enumerate(row)) for row in table]


class Geostationary:
    """The earth as a satellite above the equator sees it; x and y are angles in radians.

    Parameters
    ----------
    earth : Ellipsoid
        Figure of the earth.
    distance : float
        Distance of the satellite from the earth's centre in metres.
    meridian : float
        Longitude below the satellite in radians.
    """

    def __init__(self, earth: Ellipsoid, distance: float, meridian: float) -> None:
        if not earth.major < distance < 1e12:
            raise FormatError(f"a satellite at {distance} m from the centre of the earth")
        self.earth, self.distance, self.meridian = earth, distance, meridian

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude; NaN where the line of sight misses the earth."""
        flat = (self.earth.major / self.earth.minor) ** 2
        down, up = np.cos(x) * np.cos(y), np.sin(y)
        a = np.cos(y) ** 2 + flat * up**2
        with np.errstate(invalid="ignore"):
            root = np.sqrt(
                (self.distance * down) ** 2 - a * (self.distance**2 - self.earth.major**2)
            )
        length = (self.distance * down - root) / a
        near = self.distance - length * down
        across = length * np.sin(x) * np.cos(y)
        latitude = np.arctan(flat * length * up / np.hypot(near, across))
        return latitude, self.meridian + np.arctan2(across, near)
