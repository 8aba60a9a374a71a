"""Labelled images: which file holds the labels of which image, by folders or by a table."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ImageError
from .label_files import LabelFile, open_labels
from .label_ids import IGNORE, LabelIds, label_source, separator, shortened
from .ome_zarr import is_zarr
from .readers import SUFFIXES

__all__ = [
    "IGNORE",
    "LabelFile",
    "LabelIds",
    "LabelledPair",
    "find_pairs",
    "label_source",
    "open_labels",
    "read_pairs",
    "stem_of",
]

# Endings that are longer than a suffix.
_LONG = re.compile(r"(\.ome)?(\.tiff?|\.zarr|\.btf|\.tf8)$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelledPair:
    """An image and the file of its labels.

    Parameters
    ----------
    image, labels : Path
        Files or OME-Zarr folders.
    name : str
        The image's name without its ending.
    split : str
        What it is for, such as "train", "validation" or "test"; empty where nothing says it.
    """

    image: Path
    labels: Path
    name: str
    split: str = ""


def stem_of(path: Path) -> str:
    """A file's name without its ending, which may have two parts as in .ome.tif and .ome.zarr."""
    found = _LONG.sub("", path.name)
    return found if found != path.name or path.is_dir() else path.stem


def find_pairs(images: Path, labels: Path) -> list[LabelledPair]:
    """Images of a folder with label files of the same names, whatever their endings, sorted by name.

    Parameters
    ----------
    images, labels : Path
        Folders of files that `open_image` reads. Other files, hidden ones and folders that are no zarr are passed over.

    Raises
    ------
    ImageError
        If a folder is missing or has none, an image has no labels or labels no image, or there are several files of
        one name.
    """
    if images.is_dir() and labels.is_dir() and images.samefile(labels):
        raise ImageError(f"Images and labels are the same folder {images}. Put labels into another one.")
    found = {kind: _by_stem(folder, kind) for kind, folder in (("images", images), ("labels", labels))}
    for kind, other, folder, wanted in (("images", "labels", images, labels), ("labels", "images", labels, images)):
        alone = [path.name for stem, path in sorted(found[kind].items()) if stem not in found[other]]
        if alone:
            raise ImageError(
                f"{folder} holds {kind} for which {wanted} has no {other} of the same name: {shortened(alone)}. Add "
                f"them, or take these {kind} out of the folder{_longer_name(found)}."
            )
    return [LabelledPair(path, found["labels"][stem], stem) for stem, path in sorted(found["images"].items())]


def _longer_name(found: Mapping[str, Mapping[str, Path]]) -> str:
    """What to do where names of labels begin with those of images, as many programs write them; else empty."""
    for stem, path in sorted(found["images"].items()):
        for longer, labels in sorted(found["labels"].items()):
            # 10 begins no name of 103
            if longer.startswith(stem) and longer[len(stem) :][:1] in tuple("_-. "):
                return (
                    f"; labels of other names, as {labels.name} may be for {path.name}, can be renamed, or for a "
                    "training listed in a CSV file with columns image and labels, which is named in [data] as table "
                    "instead of the folders"
                )
    return ""


def _by_stem(folder: Path, kind: str) -> dict[str, Path]:
    """Images in a folder by their names without endings."""
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder} of {kind}.")
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        known = path.suffix.lower() in SUFFIXES and path.is_file()
        if not path.name.startswith(".") and (known or is_zarr(path)):
            found[stem_of(path)].append(path)
    if not found:
        raise ImageError(
            f"The folder {folder} holds no {kind}. Put files into it that end in {', '.join(SUFFIXES)}, or OME-Zarr "
            "folders."
        )
    several = [f"{stem} ({', '.join(p.name for p in paths)})" for stem, paths in found.items() if len(paths) > 1]
    if several:
        raise ImageError(f"{folder} holds several {kind} of one name: {shortened(several)}. Keep one of each.")
    return {stem: path for stem, (path,) in found.items()}


def read_pairs(table: Path) -> list[LabelledPair]:
    """Labelled images that a table lists, in its order.

    Parameters
    ----------
    table : Path
        CSV or TSV in UTF-8 whose first line names the columns `image` and `labels`, and perhaps `split`; paths are
        relative to the table. Other columns are passed over.

    Raises
    ------
    ImageError
        If the table is missing, lacks a column or is empty, a file is not there, or an image is listed twice.
    """
    if not table.is_file():
        raise ImageError(f"There is no table {table}.")
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator(header), skipinitialspace=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = [{k: (v or "").strip() for k, v in row.items() if isinstance(k, str)} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageError(f"{table.name} cannot be read as a table: {error}.") from error
    missing = [column for column in ("image", "labels") if column not in reader.fieldnames]
    if missing:
        raise ImageError(
            f"{table.name} lacks the column{'s' * (len(missing) > 1)} {' and '.join(missing)}. Its first line names "
            "the columns image, labels and perhaps split."
        )
    if not rows:
        raise ImageError(f"{table.name} lists no images. Add a line for each.")
    empty = [f"{row['image'] or row['labels'] or '(empty)'}" for row in rows if not (row["image"] and row["labels"])]
    if empty:
        raise ImageError(f"{table.name} has lines without image or labels: {shortened(empty)}. Fill them in.")
    pairs = []
    for row in rows:
        image, labels = table.parent / row["image"], table.parent / row["labels"]
        pairs.append(LabelledPair(image, labels, stem_of(image), row.get("split", "")))
    gone = [p for pair in pairs for p in (pair.image, pair.labels) if not (p.is_file() or is_zarr(p))]
    if gone:
        raise ImageError(f"{table.name} names files that are not there: {shortened(gone)}. Paths are relative to it.")
    twice = [image for image, times in Counter(pair.image for pair in pairs).items() if times > 1]
    if twice:
        raise ImageError(f"{table.name} lists images twice: {shortened(twice)}. Keep one line of each.")
    return pairs
