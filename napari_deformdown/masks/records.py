"""The record of a mask: which image, model and settings it came from, in a small JSON file beside it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from ..imaging.json_text import json_text
from ..imaging.pieces import add_pieces
from .placing import check_target, complete

if TYPE_CHECKING:
    from ..imaging import Pyramid
    from ..network import DeformedSegmenter, Segmentation
    from .formats import Format
    from .source import MaskSource, Window

__all__ = [
    "KIND",
    "check_record",
    "full_record",
    "has_record",
    "is_record",
    "known_record",
    "make_record",
    "read_record",
    "record_in",
    "record_path",
    "write_record",
]

KIND = "napari-deformdown mask record"
_PACKAGES = ("torch", "numpy", "scipy", "tifffile", "zarr", "imagecodecs")


def make_record(
    result: Segmentation,
    image: Pyramid | None = None,
    model: DeformedSegmenter | None = None,
    scores: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything about how a result was made, as JSON types, for `export_mask`.

    Parameters
    ----------
    result : Segmentation
        Method, budget, uniform fraction, cost.
    image : Pyramid, optional
        Name, path, size, plane and, of a file, a fingerprint of its length and both ends.
    model : DeformedSegmenter, optional
        Name, a digest of its weights as version, and how it scored on held-out images at this budget.
    scores : mapping, optional
        How this very mask scored, where there is a ground truth.
    """
    found: dict[str, Any] = {
        "method": result.method,
        "budget": list(result.budget),
        "points": result.budget[0] * result.budget[1],
        "overview_points": result.overview_points,
        "sharpness": result.sharpness,
        **result.record,
    }
    if image is not None:
        found["image"] = image.name
        found["image_identity"] = {
            "path": str(image.path) if image.path is not None else None,
            "rows": image.shape[0],
            "columns": image.shape[1],
            "channels": image.channels,
            "dtype": str(image.dtype),
            "pixel_size": list(image.pixel_size) if image.pixel_size else None,
            "at": dict(image.at),
            **(_fingerprint(image.path) if image.path is not None and image.path.is_file() else {}),
        }
    if model is not None:
        found["model"] = model.config.name
        found["model_version"] = _digest(model)
        found.setdefault("sampler", model.config.sampler if result.method == "learnt" else result.method)
        held_out = model.config.scores.get("held_out", [])
        rows = [row for row in held_out if list(row.get("budget", [])) == list(result.budget)]
        found["model_scores"] = rows or held_out
    if scores is not None:
        found["scores"] = dict(scores)
    return found


def known_record(source: MaskSource) -> dict[str, Any]:
    """What a source knows of how it was made."""
    if hasattr(source, "method") and hasattr(source, "budget"):
        return make_record(source)  # type: ignore[arg-type]
    return dict(getattr(source, "record", None) or {})


def full_record(window: Window, form: Format, path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The record that is kept in a mask: what was given, and what is known of the mask itself."""
    y0, y1, x0, x1 = window.full_region
    return {
        "kind": KIND,
        "file": path.name,
        "format": form.name,
        "holds": form.holds,
        "level": window.place.level,
        "region": [y0, y1, x0, x1],
        "image_size": list(window.place.shape),
        "mask_size": list(window.shape),
        "pixel_size": list(window.pixel_size) if window.pixel_size else None,
        "position": list(getattr(window.source, "position", None) or (0.0, 0.0)),
        "classes": [{"id": i, "name": c.name, "color": c.color} for i, c in enumerate(window.classes)],
        **given,
        "software": _software(),
    }


def record_path(path: str | Path) -> Path:
    """Where the record of a mask lies: `mask.tif.json` beside `mask.tif`."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def read_record(path: str | Path) -> dict[str, Any]:
    """The record beside a mask, or nothing.

    Raises
    ------
    ImageError
        If there is a record that cannot be read.
    """
    beside = record_path(path)
    if not beside.is_file():
        return {}
    found = _parsed(beside)
    if found is None:
        raise ImageError(f"{beside.name} is no record of a mask. Remove it, or export the mask again.")
    return found


def has_record(path: str | Path) -> bool:
    """Whether the record of a mask lies beside a file or folder."""
    return is_record(record_path(path))


def is_record(path: Path) -> bool:
    """Whether a file is the record of a mask."""
    return path.is_file() and _parsed(path) is not None


def check_record(path: Path, overwrite: bool) -> None:
    """Whether the record of a mask can be written.

    Raises
    ------
    ImageError
        If something else has its name.
    """
    beside = record_path(path)
    check_target(beside, folder=False, overwrite=overwrite)
    if beside.exists() and _parsed(beside) is None:
        raise ImageError(f"{beside} is in the way: the mask's record goes there. Rename it or the mask.")


def write_record(path: Path, record: Mapping[str, Any]) -> Path:
    """Write the record of a mask beside it."""
    beside = record_path(path)
    made = {**record, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    with complete(beside) as temporary:
        temporary.write_text(json_text(made, indent=2) + "\n", "utf-8")
    return beside


def record_in(text: str | bytes) -> dict[str, Any] | None:
    """The record of a mask that a text holds; None where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == KIND else None


def _parsed(path: Path) -> dict[str, Any] | None:
    try:
        return record_in(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _software() -> dict[str, str]:
    from .. import __version__

    found = {"napari-deformdown": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _fingerprint(path: Path) -> dict[str, Any]:
    """Length of a file, and a digest of it and both its ends, which copies of the file share."""
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    add_pieces(digest, path)
    return {"bytes": size, "fingerprint": digest.hexdigest()}


def _digest(model: DeformedSegmenter) -> str:
    """A digest of a model's weights in half precision, as they are kept in files."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        value = value.detach().cpu()
        value = value.half() if value.is_floating_point() else value
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()
