"""Which slides a batch has: files, folders, patterns and URLs as a list of sources, each with a name for its mask."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..imaging.errors import ImageError
from ..imaging.label_ids import shortened
from ..imaging.ome_zarr import is_zarr
from ..imaging.openslide_file import dicom_series
from ..imaging.pairs import stem_of
from ..imaging.readers import SUFFIXES
from ..imaging.remote_file import file_system
from ..imaging.urls import file_name, is_url, local_path
from ..masks.records import has_record, record_in

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Slide", "find_slides"]

_MAGIC = re.compile(r"[*?\[]")
_REMOTE_SUFFIXES = (*SUFFIXES, ".zarr")


@dataclass(frozen=True)
class Slide:
    """One image of a batch.

    Parameters
    ----------
    source : str
        An absolute path or a URL.
    name : str
        What its mask is called, without an ending; with the folders below the one that was given, parted by slashes.
    """

    source: str
    name: str


def find_slides(words: Sequence[str | Path], *, recursive: bool = False, without: Path | None = None) -> list[Slide]:
    """The slides that files, folders, patterns and URLs stand for, each once, in their order.

    Parameters
    ----------
    words : sequence of str or Path
        Files or zarr folders, whatever their endings; folders, of which the images are taken that are no masks with a
        record beside them, of a DICOM slide in several files the first; patterns such as ``slides/**/*.svs``, alike;
        URLs of any of these, where a folder's ends with a slash.
    recursive : bool
        Look into the folders of folders.
    without : Path, optional
        A folder whose files are no slides: that of the masks.

    Raises
    ------
    ImageError
        If a word stands for no image, or two slides would have masks of one name.
    """
    found: dict[str, Slide] = {}
    for word in words:
        text = str(word)
        local = local_path(text) if is_url(text) else Path(text)
        some = False
        for slide in _remote(text) if local is None else _local(local, recursive, without):
            some = True
            found.setdefault(slide.source, slide)
        if not some and local is not None and without is not None and _below(_base(local), without):
            raise ImageError(
                f"{text} lies in the folder that masks are written to, {without}, whose files are no slides. Give "
                "another folder for the masks."
            )
        if not some:
            raise ImageError(f"{text} holds no images. Give files that end in {', '.join(SUFFIXES)}, or OME-Zarr.")
    _check_names(found.values())
    return list(found.values())


def _local(path: Path, recursive: bool, without: Path | None) -> Iterator[Slide]:
    if is_zarr(path) or path.is_file():
        yield Slide(str(path.absolute()), stem_of(path))
    elif path.is_dir():
        for image in _once(_inside(path, recursive, without)):
            yield _slide(image, path)
    elif _MAGIC.search(str(path)):
        base = _base(path)
        hits = sorted(Path(hit) for hit in glob.glob(str(path), recursive=True))
        zarrs = {hit for hit in hits if is_zarr(hit)}
        images = (
            hit
            for hit in hits
            if not zarrs.intersection(hit.parents)
            and not (without is not None and _below(hit, without))
            and _is_slide(hit)
        )
        for hit in _once(images):
            yield _slide(hit, base)
    else:
        raise ImageError(f"There is no file or folder {path}.")


def _inside(folder: Path, recursive: bool, without: Path | None) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (without is not None and _below(path, without)):
            continue
        if _is_slide(path):
            yield path
        elif recursive and path.is_dir() and not is_zarr(path):
            yield from _inside(path, recursive, without)


def _once(images: Iterable[Path]) -> Iterator[Path]:
    """Without further files of a DICOM slide that was there before."""
    seen: set[tuple[Path, str]] = set()
    for image in images:
        series = dicom_series(image)
        if series is not None:
            if (image.parent, series) in seen:
                continue
            seen.add((image.parent, series))
        yield image


def _is_slide(path: Path) -> bool:
    """Whether it is an image, and none that is a mask by the record beside it."""
    return ((path.suffix.lower() in SUFFIXES and path.is_file()) or is_zarr(path)) and not has_record(path)


def _below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _slide(image: Path, base: Path) -> Slide:
    return Slide(str(image.absolute()), (image.relative_to(base).parent / stem_of(image)).as_posix())


def _base(pattern: Path) -> Path:
    """The folder above the first part with a wildcard; all of it where there is none."""
    parts = []
    for part in pattern.parts:
        if _MAGIC.search(part):
            break
        parts.append(part)
    return Path(*parts)


def _remote(url: str) -> Iterator[Slide]:
    if _MAGIC.search(url.partition("?")[0]):
        fs, pattern = file_system(url)
        base = str(_base(Path(pattern.split("://")[-1]))).strip("/")
        paths = [str(p) for p in _listed(url, fs.glob, pattern)]
    elif url.endswith("/") and not url.rstrip("/").lower().endswith(".zarr"):
        fs, folder = file_system(url)
        base = folder.split("://")[-1].strip("/")
        paths = [str(p) for p in _listed(url, fs.ls, folder, detail=False)]
    else:
        yield Slide(url, _stem(file_name(url)))
        return
    images = [p for p in sorted(p.rstrip("/") for p in paths) if PurePosixPath(p).suffix.lower() in _REMOTE_SUFFIXES]
    masks = _remote_masks(url, fs, images)
    for path in images:
        if path not in masks:
            inner = _plain(path)
            parent = inner.parent.relative_to(base) if inner.is_relative_to(base) else PurePosixPath()
            yield Slide(fs.unstrip_protocol(path), (parent / _stem(inner.name)).as_posix())


def _remote_masks(url: str, fs: AbstractFileSystem, images: Sequence[str]) -> set[str]:
    """Those of the paths that are masks by the records beside them."""
    found: set[str] = set()
    beside: dict[str, set[PurePosixPath]] = {}
    for path in images:
        folder = path.rpartition("/")[0]
        if folder not in beside:
            beside[folder] = {_plain(str(p)) for p in _listed(url, fs.ls, f"{folder}/", detail=False)}
        record = f"{path}.json"
        if _plain(record) in beside[folder]:
            try:
                text = fs.cat_file(record)
            except Exception as error:  # as below
                raise ImageError(f"{record}, beside an image, cannot be read: {error}. Try again later.") from error
            if record_in(text) is not None:
                found.add(path)
    return found


def _plain(path: str) -> PurePosixPath:
    """A path as all listings of a file system have it."""
    return PurePosixPath(path.split("://")[-1].strip("/"))


def _listed(url: str, listing: object, path: str, **options: object) -> list[str]:
    try:
        return list(listing(path, **options))  # type: ignore[operator]
    except Exception as error:  # file systems raise what their clients raise, of any kind
        raise ImageError(f"What {url} holds cannot be listed: {error}. Give the addresses of single images.") from error


def _stem(name: str) -> str:
    return stem_of(Path(name)) or name


def _check_names(slides: Iterable[Slide]) -> None:
    by_name: dict[str, list[str]] = defaultdict(list)
    for slide in slides:
        by_name[slide.name.casefold()].append(slide.source)
    several = [" and ".join(sources) for sources in by_name.values() if len(sources) > 1]
    if several:
        raise ImageError(
            f"Masks of different slides would have one name: {shortened(several)}. Put them into batches with output "
            "folders of their own, or give the folder above them with --recursive."
        )
