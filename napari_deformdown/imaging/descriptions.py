"""What image files say of themselves in words: pixel sizes, channel names, significant bits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

__all__ = ["Description", "aperio_pixel_size", "micrometres", "ome_description", "qpi_description"]

# Micrometres per unit, as OME-XML, OME-Zarr, ImageJ and people write them.
_UNITS = {
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "km": 1e9,
    "kilometer": 1e9,
    "in": 25400.0,
    "inch": 25400.0,
    "ft": 304800.0,
    "foot": 304800.0,
}


@dataclass(frozen=True)
class Description:
    """What a file says.

    Parameters
    ----------
    pixel_size : (float, float), optional
        Height and width of a pixel in micrometres.
    channel_names : tuple of str
        Names of the channels, or empty.
    bits : int, optional
        Bits of each value that are in use.
    """

    pixel_size: tuple[float, float] | None = None
    channel_names: tuple[str, ...] = ()
    bits: int | None = None


def micrometres(unit: str | None) -> float | None:
    """Micrometres per unit of length, or None where the unit is none that we know."""
    if not unit:
        return None
    # the Greek letter and the micro sign look alike; ImageJ writes an escape
    unit = unit.strip().replace("\u03bc", "µ").replace("\\u00B5", "µ")
    return _UNITS.get(unit) or _UNITS.get(unit.lower())


def ome_description(xml: str, image: int = 0) -> Description:
    """What OME-XML says of one of its images; nothing where it cannot be read."""
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return Description()
    images = root.findall("{*}Image")
    if not images:
        return Description()
    pixels = images[image if image < len(images) else 0].find("{*}Pixels")
    if pixels is None:
        return Description()
    names = [c.get("Name") for c in pixels.findall("{*}Channel")]
    bits = pixels.get("SignificantBits", "")
    return Description(
        _ome_pixel_size(pixels),
        _telling(names),
        int(bits) if bits.isdecimal() else None,
    )


def qpi_description(pages: Sequence[str]) -> Description:
    """What the XML of each channel's page in an Akoya (PerkinElmer) QPTIFF says; nothing where it cannot be read."""
    try:
        return Description(channel_names=_telling([ElementTree.fromstring(xml).findtext("Name") for xml in pages]))
    except (ElementTree.ParseError, ValueError):
        return Description()


def _telling(names: Sequence[str | None]) -> tuple[str, ...]:
    """Names of channels where each has one of its own, else none."""
    return tuple(str(name) for name in names) if all(names) and len(set(names)) == len(names) else ()


def _ome_pixel_size(pixels: Any) -> tuple[float, float] | None:
    sizes = []
    for axis in "YX":
        unit = micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            size = float(pixels.get(f"PhysicalSize{axis}", "0"))
        except ValueError:
            return None
        if unit is None or not size > 0:
            return None
        sizes.append(size * unit)
    return sizes[0], sizes[1]


def aperio_pixel_size(text: str) -> tuple[float, float] | None:
    """Pixel size in the description of an Aperio slide ('... |MPP = 0.2521 | ...')."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", text)
    size = float(found.group(1)) if found and found.group(1).count(".") < 2 else 0.0
    return (size, size) if size > 0 else None
