"""Map projections of GRIB grids, on the sphere and on the ellipsoid.

Formulas after J. P. Snyder, *Map Projections: A Working Manual* (USGS Professional Paper 1395,
1987); the transverse Mercator projection after C. F. F. Karney (Krüger's series to sixth order).
Angles are radians, lengths metres; arrays of any shape go in and come out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = [
    "AlbersEqualArea",
    "Ellipsoid",
    "LambertAzimuthal",
    "LambertConformal",
    "Mercator",
    "PolarStereographic",
    "Projection",
]

_HALF_PI = np.pi / 2


class Projection(Protocol):
    """What all projections do."""

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y."""

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """The earth.

    Parameters
    ----------
    major, minor : float
        Its half axes in metres; equal for a sphere.
    """

    major: float
    minor: float

    def __post_init__(self) -> None:
        if not 0 < self.minor <= self.major < 1e12:
            raise FormatError(f"an earth with axes of {self.major} and {self.minor} m")

    @property
    def eccentricity(self) -> float:
        """First eccentricity; 0 for a sphere."""
        return float(np.sqrt(1 - (self.minor / self.major) ** 2))

    def small_t(self, latitude: Any) -> Any:
        """Return exp(-isometric latitude) (15-9)."""
        e = self.eccentricity
        sine = e * np.sin(latitude)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.tan((_HALF_PI - latitude) / 2) * ((1 + sine) / (1 - sine)) ** (e / 2)

    def latitude_of_t(self, t: Any) -> Any:
        """Invert `small_t` (7-9)."""
        e = self.eccentricity
        latitude = _HALF_PI - 2 * np.arctan(t)
        for _ in range(9 if e else 0):
            sine = e * np.sin(latitude)
            latitude = _HALF_PI - 2 * np.arctan(t * ((1 - sine) / (1 + sine)) ** (e / 2))
        return latitude

    def small_m(self, latitude: Any) -> Any:
        """Return the radius of a parallel, in units of the major axis (14-15)."""
        return np.cos(latitude) / np.sqrt(1 - (self.eccentricity * np.sin(latitude)) ** 2)

    def small_q(self, latitude: Any) -> Any:
        """Return twice the sine of the authalic latitude, about (3-12)."""
        e, sine = self.eccentricity, np.sin(latitude)
        if not e:
            return 2 * sine
        return (1 - e * e) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)

    def latitude_of_q(self, q: Any) -> Any:
        """Invert `small_q`, by Newton's method (3-16)."""
        e = self.eccentricity
        latitude = np.arcsin(np.clip(q / self.small_q(_HALF_PI), -1, 1))
        for _ in range(6 if e else 0):
            sine, cosine = np.sin(latitude), np.cos(latitude)
            rest = 1 - (e * sine) ** 2
            step = (q - self.small_q(latitude)) * rest**2
            step /= 2 * (1 - e * e) * np.where(np.abs(cosine) < 1e-12, 1, cosine)
            latitude = latitude + np.where(np.abs(cosine) < 1e-12, 0, step)
        return latitude


def _wrapped(longitude: Any) -> Any:
    """Return angles between -pi and pi."""
    return (longitude + np.pi) % (2 * np.pi) - np.pi


class _Conic(ABC):
    """What cones have in common: constant `n`, radius of a parallel, meridian and origin."""

    n: float
    meridian: float
    origin: float

    @abstractmethod
    def radius(self, latitude: Any) -> Any:
        """Return the radius of a parallel."""

    @abstractmethod
    def latitude_of_radius(self, radius: Any) -> Any:
        """Return the parallel that has a radius."""

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y (14-1, 14-2)."""
        angle = self.n * _wrapped(np.asarray(longitude) - self.meridian)
        radius = self.radius(latitude)
        return radius * np.sin(angle), self.radius(self.origin) - radius * np.cos(angle)

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude (14-9 to 14-11)."""
        sign = 1.0 if self.n > 0 else -1.0
        down = self.radius(self.origin) - y
        radius = sign * np.hypot(x, down)
        angle = np.arctan2(sign * x, sign * down)
        return self.latitude_of_radius(radius), self.meridian + angle / self.n


class LambertConformal(_Conic):
    """Lambert conformal conic projection, with two standard parallels (15).

    Parameters
    ----------
    earth : Ellipsoid
        Figure of the earth.
    first, second : float
        Standard parallels.
    meridian, origin : float
        Longitude of the central meridian, latitude where y is 0.
    """

    def __init__(
        self, earth: Ellipsoid, first: float, second: float, meridian: float, origin: float
    ) -> None:
        _check_parallels(first, second)
        self.earth, self.meridian, self.origin = earth, meridian, origin
        m, t = earth.small_m(first), earth.small_t(first)
        if abs(first - second) < 1e-12:
            self.n = float(np.sin(first))
        else:
            ratio = np.log(m) - np.log(earth.small_m(second))
            self.n = float(ratio / (np.log(t) - np.log(earth.small_t(second))))
        self._scale = earth.major * m / (self.n * t**self.n)

    def radius(self, latitude: Any) -> Any:
        """Return the distance of a parallel from the apex (15-7)."""
        return self._scale * self.earth.small_t(latitude) ** self.n

    def latitude_of_radius(self, radius: Any) -> Any:
        """Invert `radius` (15-11)."""
        return self.earth.latitude_of_t((radius / self._scale) ** (1 / self.n))


class AlbersEqualArea(_Conic):
    """Albers equal-area conic projection (14); parameters as for `LambertConformal`."""

    def __init__(
        self, earth: Ellipsoid, first: float, second: float, meridian: float, origin: float
    ) -> None:
        _check_parallels(first, second)
        self.earth, self.meridian, self.origin = earth, meridian, origin
        m, q = earth.small_m(first), earth.small_q(first)
        if abs(first - second) < 1e-12:
            self.n = float(np.sin(first))
        else:
            self.n = float((m**2 - earth.small_m(second) ** 2) / (earth.small_q(second) - q))
        self._c = m**2 + self.n * q

    def radius(self, latitude: Any) -> Any:
        """Return the distance of a parallel from the apex (14-12)."""
        square = self._c - self.n * self.earth.small_q(latitude)
        return self.earth.major * np.sqrt(np.maximum(square, 0)) / self.n

    def latitude_of_radius(self, radius: Any) -> Any:
        """Invert `radius` (14-19)."""
        q = (self._c - (radius * self.n / self.earth.major) ** 2) / self.n
        return self.earth.latitude_of_q(q)


def _check_parallels(first: float, second: float) -> None:
    if not max(abs(first), abs(second)) < _HALF_PI or abs(first + second) < 1e-9:
        raise FormatError(
            f"standard parallels at {np.rad2deg(first)} and {np.rad2deg(second)} degrees"
        )


class PolarStereographic:
    """Polar stereographic projection (21).

    Parameters
    ----------
    earth : Ellipsoid
        Figure of the earth.
    true_scale : float
        Latitude at which lengths are true; its sign does not matter.
    meridian : float
        Longitude of the meridian that is parallel to the y axis.
    south : bool
        Whether the south pole is the centre.
    """

    def __init__(
        self, earth: Ellipsoid, true_scale: float, meridian: float, *, south: bool
    ) -> None:
        self.earth, self.meridian, self.sign = earth, meridian, -1.0 if south else 1.0
        latitude = abs(true_scale)
        if not 0 <= latitude <= _HALF_PI:
            raise FormatError(f"a true scale at {np.rad2deg(true_scale)} degrees")
        e = earth.eccentricity
        if _HALF_PI - latitude < 1e-10:
            power = np.sqrt((1 + e) ** (1 + e) * (1 - e) ** (1 - e))
            self._scale = float(2 * earth.major / power)
        else:
            self._scale = float(earth.major * earth.small_m(latitude) / earth.small_t(latitude))

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y (21-30, 21-31)."""
        radius = self._scale * self.earth.small_t(self.sign * np.asarray(latitude))
        angle = np.asarray(longitude) - self.meridian
        return radius * np.sin(angle), -self.sign * radius * np.cos(angle)

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude (20-16, 20-18)."""
        t = np.hypot(x, y) / self._scale
        longitude = self.meridian + np.arctan2(x, -self.sign * y)
        return self.sign * self.earth.latitude_of_t(t), longitude


class Mercator:
    """Mercator projection (7), with lengths true at a latitude."""

    def __init__(self, earth: Ellipsoid, true_scale: float, meridian: float) -> None:
        if not abs(true_scale) < _HALF_PI:
            raise FormatError(f"a true scale at {np.rad2deg(true_scale)} degrees")
        self.earth, self.meridian = earth, meridian
        self._scale = float(earth.major * earth.small_m(true_scale))

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y (7-6, 7-7)."""
        y = -self._scale * np.log(self.earth.small_t(latitude))
        return self._scale * _wrapped(np.asarray(longitude) - self.meridian), y

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude (7-10, 7-12)."""
        latitude = self.earth.latitude_of_t(np.exp(-np.asarray(y) / self._scale))
        return latitude, self.meridian + np.asarray(x) / self._scale


class LambertAzimuthal:
    """Lambert azimuthal equal-area projection (24), of any centre but the poles' ellipsoid."""

    def __init__(self, earth: Ellipsoid, latitude: float, meridian: float) -> None:
        if not abs(latitude) <= _HALF_PI:
            raise FormatError(f"a centre at latitude {np.rad2deg(latitude)} degrees")
        self.earth, self.meridian = earth, meridian
        self._pole = float(earth.small_q(_HALF_PI))
        self._radius = float(earth.major * np.sqrt(self._pole / 2))
        beta = np.arcsin(np.clip(earth.small_q(latitude) / self._pole, -1, 1))
        self._sine, self._cosine = float(np.sin(beta)), float(np.cos(beta))
        polar = abs(latitude) > _HALF_PI - 1e-10
        # The stretching of x against y (24-20), whose limit at the poles is 1.
        self._d = (
            1.0
            if polar
            else float(earth.major * earth.small_m(latitude) / (self._radius * self._cosine))
        )

    def forward(self, latitude: Any, longitude: Any) -> Pair:
        """Return x and y (24-17 to 24-19)."""
        sine = np.clip(self.earth.small_q(latitude) / self._pole, -1, 1)
        cosine = np.sqrt(1 - sine * sine)
        angle = np.asarray(longitude) - self.meridian
        across = cosine * np.cos(angle)
        denominator = 1 + self._sine * sine + self._cosine * across
        b = self._radius * np.sqrt(2 / np.maximum(denominator, 1e-300))
        x = b * self._d * cosine * np.sin(angle)
        return x, b / self._d * (self._cosine * sine - self._sine * across)

    def inverse(self, x: Any, y: Any) -> Pair:
        """Return latitude and longitude (24-26 to 24-29); NaN where there is no earth."""
        x, y = np.asarray(x) / self._d, np.asarray(y) * self._d
        rho = np.hypot(x, y)
        with np.errstate(invalid="ignore", divide="ignore"):
            c = 2 * np.arcsin(rho / (2 * self._radius))
            share = np.where(rho > 0, y * np.sin(c) / rho, 0.0)
        sine = np.cos(c) * self._sine + share * self._cosine
        longitude = self.meridian + np.arctan2(
            x * np.sin(c), rho * self._cosine * np.cos(c) - y * self._sine * np.sin(c)
        )
        return self.earth.latitude_of_q(self._pole * sine), longitude
