"""Which file holds the corrections of which image: label images, GeoJSON, or folders that `Corrections.save` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..imaging.errors import ImageError
from ..imaging.label_ids import LabelIds, shortened
from ..imaging.pairs import stem_of
from ..imaging.readers import SUFFIXES
from ..network.config import LabelClass
from .painted import Corrections

__all__ = ["CorrectedFile", "find_corrected", "read_corrections"]


@dataclass(frozen=True)
class CorrectedFile:
    """An image and the file or folder of its corrections."""

    image: Path
    corrections: Path
    name: str


def find_corrected(images: Path, corrections: Path) -> list[CorrectedFile]:
    """Corrections of a folder with the images of the same names, whatever their endings, sorted by name.

    Images without corrections are passed over.

    Raises
    ------
    ImageError
        If a folder is missing, there are no corrections, some have no image, or several belong to one image.
    """
    for kind, folder in (("images", images), ("corrections", corrections)):
        if not folder.is_dir():
            raise ImageError(f"There is no folder {folder} of {kind}.")
    if images.samefile(corrections):
        raise ImageError(f"Images and corrections are the same folder {images}. Put corrections into another one.")
    pictures = _by_stem(p for p in sorted(images.iterdir()) if _is_image(p))
    painted = _by_stem(p for p in sorted(corrections.iterdir()) if _is_corrections(p))
    if not painted:
        raise ImageError(
            f"{corrections} holds no corrections. Put label images (0 = nothing, k + 1 = class k) or .geojson files "
            "with the images' names into it."
        )
    for kind, found in (("images", pictures), ("corrections", painted)):
        twice = [f"{stem} ({', '.join(p.name for p in paths)})" for stem, paths in found.items() if len(paths) > 1]
        if twice and (kind == "corrections" or any(s in painted for s, p in found.items() if len(p) > 1)):
            raise ImageError(f"There are several {kind} of one name: {shortened(twice)}. Keep one of each.")
    alone = [paths[0].name for stem, paths in painted.items() if stem not in pictures]
    if alone:
        raise ImageError(f"{images} has no image for the corrections {shortened(alone)}. Names are to be the same.")
    return [CorrectedFile(pictures[stem][0], paths[0], stem) for stem, paths in sorted(painted.items())]


def find_others(images: Path, corrected: Sequence[CorrectedFile], most: int) -> list[Path]:
    """Images of a folder without corrections, at most so many of them, spread over their names."""
    known = {file.name for file in corrected}
    found = _by_stem(p for p in sorted(images.iterdir()) if _is_image(p))
    others = [paths[0] for stem, paths in sorted(found.items()) if stem not in known]
    count = min(most, len(others))
    return [others[(2 * k + 1) * len(others) // (2 * count)] for k in range(count)]


def read_corrections(path: Path, shape: tuple[int, int], classes: Sequence[LabelClass]) -> Corrections:
    """Corrections from a file or folder of any kind.

    Raises
    ------
    ImageError
        If they cannot be read, are of another size, or of classes that the model does not have.
    """
    if path.suffix.lower() in (".geojson", ".json"):
        return Corrections.from_geojson(path, shape, classes)
    if (path / "corrections.json").is_file():
        found = Corrections.load(path)
        if found.shape != tuple(shape):
            raise ImageError(
                f"The corrections {path} are of an image of {found.shape[0]:,} x {found.shape[1]:,} pixels, but theirs "
                f"has {shape[0]:,} x {shape[1]:,}."
            )
        if found.classes and found.classes[-1] >= len(classes):
            raise ImageError(
                f"The corrections {path} name class {found.classes[-1]}, but the model has {len(classes)}."
            )
        return found
    from ..imaging.label_files import open_labels

    # the files' ids stand for themselves: 0 is nothing, k + 1 is class k
    labels = open_labels(path, LabelIds(len(classes) + 1, None, None), shape)
    return Corrections.from_labels(labels, shape)


def _is_image(path: Path) -> bool:
    from ..imaging.ome_zarr import is_zarr

    known = path.suffix.lower() in SUFFIXES and path.is_file()
    return not path.name.startswith(".") and (known or is_zarr(path))


def _is_corrections(path: Path) -> bool:
    geojson = path.suffix.lower() == ".geojson" and not path.name.startswith(".")
    return geojson or (path / "corrections.json").is_file() or _is_image(path)


def _by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.name if (path / "corrections.json").is_file() else stem_of(path), []).append(path)
    return found
