"""What commands write takes the place of nothing that they read, nor of each other: said before the work starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..imaging.errors import ImageError
from ..imaging.urls import is_url, local_path

__all__ = ["check_files", "check_masks", "model_files"]


def check_files(
    *paths: Path | None,
    given: Sequence[Path | str | None] = (),
    outputs: Sequence[Path] = (),
    made: Path | None = None,
) -> None:
    """Whether files can be written, and destroy nothing, before the work starts.

    Parameters
    ----------
    *paths : Path, optional
        Reports, tables and plots.
    given : sequence of path or str, optional
        Images, labels, masks and whatever else the command reads.
    outputs : sequence of Path
        Masks that the command writes, each with its record.
    made : Path, optional
        A folder that the command makes where it is missing: they may lie in it.

    Raises
    ------
    ImageError
        If one cannot be written, lies in a folder that is an image or a mask itself, or would take the place of what
        was given, of another one, of an output, or of a mask's record.
    """
    from ..imaging.ome_zarr import image_around
    from ..masks.records import is_record, record_path

    wanted = [path for path in paths if path is not None]
    if not wanted:
        return
    read = _resolved(given)
    masks = {output.resolve() for output in outputs}
    taken = masks | {record_path(output).resolve() for output in outputs}
    seen: set[Path] = set()
    for path in wanted:
        place = path.resolve()
        if path.is_dir() or not (path.parent.is_dir() or (made is not None and place.parent == made.resolve())):
            raise ImageError(f"{path} cannot be written: give a file in a folder that is there.")
        if any(_is_same(place, name) for name in read):
            raise ImageError(f"{path} is a file that is read here, and would be lost. Give another name.")
        if place in taken or is_record(path):
            raise ImageError(f"{path} is the name of a mask, or of the record beside one. Give another name.")
        around = image_around(place, read | masks)
        if around is not None:
            raise ImageError(f"{path} lies in {around}, to which no other files belong. Give a file in another folder.")
        if place in seen:
            raise ImageError(f"Two outputs have the same name, {path}. Give each its own.")
        seen.add(place)


def check_masks(outputs: Sequence[Path], **given: Path | str | None) -> None:
    """Whether masks take the place of nothing that was given, nor of each other, and files lie in no zarr folder.

    Parameters
    ----------
    outputs : sequence of Path
        Masks that the command writes.
    **given : path or str, optional
        What the command reads, by what it is called in sentences.

    Raises
    ------
    ImageError
        If one would.
    """
    from ..imaging.ome_zarr import image_around

    places = [output.resolve() for output in outputs]
    for output, place in zip(outputs, places, strict=True):
        for kind, source in given.items():
            for name in _resolved([source]):
                if _is_same(place, name):
                    raise ImageError(f"The output {output} is the {kind} itself. Give another name.")
                if place in name.parents:
                    raise ImageError(f"The {kind} {source} lies in the output {output}. Give another name.")
        # labels of OME-Zarr may lie within their image, other files may not
        around = None if place.suffix.lower() == ".zarr" else image_around(place)
        if around is not None:
            raise ImageError(
                f"{output} lies in {around}, to which no other files belong. Give a file in another folder."
            )
        if any(place in other.parents for other in places):
            raise ImageError(f"Another output lies in the output {output}. Give a name in another folder.")
    if len(set(places)) < len(places):
        raise ImageError("Two outputs have the same name. Give each its own.")


def model_files(model: str) -> list[Path]:
    """The files of a model that is given as a folder; there are none of that name for a shipped one."""
    return [Path(model) / name for name in ("model.json", "model.safetensors", "version.json")]


def _resolved(given: Sequence[Path | str | None]) -> set[Path]:
    """Whole paths of what was given and lies on this machine."""
    local = (local_path(name) if isinstance(name, str) and is_url(name) else name for name in given)
    return {Path(name).resolve() for name in local if name is not None}


def _is_same(path: Path, given: Path) -> bool:
    """Whether both are the very same file or folder, under whatever names; what is not there is none."""
    return path.exists() and given.exists() and path.samefile(given)
