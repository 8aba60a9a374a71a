"""Colours of stained tissue: haematoxylin and eosin, with fibres and nuclei."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ._noise import Coordinate, Float, LatticeNoise, coverage, fade, smoothstep
from ._nuclei import NucleusGrid
from ._tissue import Fields, turn

__all__ = ["Stain"]

# Optical density of unit concentration in red, green and blue.
_HAEMATOXYLIN = np.array([0.78, 0.86, 0.36])
_EOSIN = np.array([0.08, 0.74, 0.41])
# Haematoxylin and eosin concentrations of each component.
_COMPONENTS = {
    "stroma": (0.07, 0.42),
    "dense": (0.22, 0.66),
    "pale": (0.02, 0.10),
    "lumen": (0.03, 0.07),
    "apical": (0.30, 0.40),
    "basal": (0.52, 0.34),
    "tumour": (0.46, 0.44),
    "septum": (0.20, 0.48),
    "nucleus": (1.20, 0.30),
}


class Stain:
    """Light that passes the tissue at points of a slide.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides the slide's shades and textures.
    height : int
        Rows of the slide at level 0.
    """

    def __init__(self, rng: np.random.Generator, height: int) -> None:
        self._height = height
        self._noise = LatticeNoise(rng)
        self._nuclei = NucleusGrid(rng)
        strength = rng.uniform(0.82, 1.2, 2)
        tint = rng.normal(1.0, 0.08, (2, 3))
        self._colours = {
            name: np.exp(
                -(amount[0] * strength[0] * tint[0] * _HAEMATOXYLIN + amount[1] * strength[1] * tint[1] * _EOSIN)
            ).astype(np.float32)
            for name, amount in _COMPONENTS.items()
        }

    def transmission(self, y: Coordinate, x: Coordinate, fields: Fields, pixel: float) -> tuple[Float, Float, Float]:
        """Red, green and blue transmission in [0, 1], three times (n,) float32.

        Parameters
        ----------
        y, x : (n,) float64
            Points in slide heights.
        fields : Fields
            Signed distances of the points.
        pixel : float
            Side of a pixel in slide heights; decides which textures are shown.
        """
        yt, xt = turn(y, x)
        patch, fibre = self._stroma(yt, xt, pixel)
        tumour = coverage(fields.tumour, pixel)
        rest = 1.0 - tumour
        gland = coverage(fields.gland, pixel) * rest
        basal_part = coverage(fields.gland + np.float32(0.45) * fields.thickness, pixel)
        lumen_part = coverage(fields.gland + fields.thickness, pixel)
        lumen = lumen_part * rest
        apical = np.maximum(basal_part - lumen_part, 0.0) * rest
        basal = gland - apical - lumen
        stroma = rest - gland

        density = stroma * (np.float32(0.16) + np.float32(0.5) * patch)
        density += basal * np.float32(0.95)
        density += apical * np.float32(0.35)
        septum, crowding = self._tumour(yt, xt, tumour, pixel)
        density += crowding
        np.clip(density, 0.0, 1.0, out=density)
        nuclei = self._nuclei.cover(y * self._height, x * self._height, density, pixel * self._height)
        nuclei *= 1.0 - lumen
        cleft = smoothstep(fibre, 0.35, 1.0) * stroma * np.float32(0.55)
        dense = patch * (stroma - cleft)
        light = stroma - cleft - dense
        shade = fibre * (stroma - cleft + np.float32(0.6) * tumour)
        shade *= np.float32(-0.075)
        shade += 1.0
        names = ("stroma", "dense", "pale", "lumen", "apical", "basal", "tumour", "septum")
        weights = (light, dense, cleft, lumen, apical, basal, tumour - septum, septum)
        return self._mix(names, weights, nuclei, shade)

    def _tumour(self, yt: Coordinate, xt: Coordinate, tumour: Float, pixel: float) -> tuple[Float, Float]:
        """Cover of the strands between a tumour's nests, and its density of nuclei."""
        septum, crowding = np.zeros_like(tumour), np.zeros_like(tumour)
        some = np.flatnonzero(tumour)
        if len(some):
            ys, xs, cover = yt[some], xt[some], tumour[some]
            nests = self._noise(ys, xs, 0.0065, 8)
            strand = 1.0 - smoothstep(np.abs(nests), 0.02, 0.2)
            strand *= np.float32(0.75) * cover
            crowd = self._noise(ys, xs, 0.0032, 9) * np.float32(0.16 * fade(0.0032, pixel))
            crowd += np.float32(0.78)
            septum[some] = strand
            crowding[some] = crowd * (cover - strand) + np.float32(0.3) * strand
        return septum, crowding

    def _stroma(self, yt: Coordinate, xt: Coordinate, pixel: float) -> tuple[Float, Float]:
        """Cell-rich patches in [0, 1] and fibres, about in [-1, 1]."""
        noise = self._noise
        bend = noise(yt, xt, 0.03, 1)
        patch = noise(yt, xt, 0.045, 2)
        patch *= np.float32(0.7)
        weight = fade(0.012, pixel)
        if weight:
            patch += noise(yt, xt, 0.012, 3) * np.float32(0.5 * weight)
        patch = smoothstep(patch, 0.12, 0.75)
        # Fibres: noise stretched along a direction that wanders.
        across = yt + bend * np.float64(0.012)
        fibre = np.zeros(len(yt), dtype=np.float32)
        unit = 1.0 / self._height
        for wavelength, stretch, strength, key in (
            (0.0042, 3.0, 0.5, 4),
            (0.0016, 5.0, 0.45, 5),
            (34.0 * unit, 4.0, 0.4, 6),
            (9.0 * unit, 5.0, 0.4, 7),
        ):
            weight = fade(wavelength, pixel) * strength
            if weight:
                fibre += noise(across * stretch, xt, wavelength * stretch, key) * np.float32(weight)
        return patch, fibre

    def _mix(
        self,
        names: Sequence[str],
        weights: Sequence[Float],
        nuclei: Float,
        shade: Float,
    ) -> tuple[Float, Float, Float]:
        """Weighted mean of the components' colours, under nuclei, times a shade."""
        bare = 1.0 - nuclei
        bare *= shade
        channels: list[npt.NDArray[np.float32]] = []
        for channel in range(3):
            total = weights[0] * self._colours[names[0]][channel]
            for name, weight in zip(names[1:], weights[1:], strict=True):
                total += weight * self._colours[name][channel]
            total *= bare
            total += nuclei * self._colours["nucleus"][channel]
            channels.append(np.clip(total, 0.0, 1.0, out=total))
        return channels[0], channels[1], channels[2]
