"""Sessions and the panel: what it stands at, and having it stand as it did."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from ...imaging.errors import ImageError
from ...network.catalogue import find_model
from ...network.config import ModelError
from ..samples import METADATA
from ..settings import PLUGIN
from .session import Session

if TYPE_CHECKING:
    from ..panel import SamplingPanel

__all__ = ["left_out", "restore", "state_of"]


def left_out(panel: SamplingPanel) -> list[str]:
    """What a session cannot bring back by itself, in sentences."""
    notes = []
    if panel.trial and panel.model.value == panel.trial:
        notes.append("The model on trial is not in it: keep it, and save again.")
    for layer in (panel.image.value, panel.truth.value):
        if layer is not None and not _path_of(layer) and not _sample_of(layer):
            notes.append(f"{layer.name} is in no file: save it, for it must be open when the session is opened again.")
    return notes


def state_of(panel: SamplingPanel) -> Session:
    """What the panel stands at now."""
    image, truth, model = panel.image.value, panel.truth.value, str(panel.model.value or "")
    if panel.trial and model == panel.trial:  # it is in memory alone
        model = panel.before
    camera, cells = panel.viewer.scene.camera, panel.cells
    entry = panel.correct.entry
    # another image may be chosen than the one that is shown and painted on: they would be laid over it
    own = entry is not None and entry.frame.source.layer is image
    kept = own and entry is not None and entry.folder is not None and not entry.corrections.is_empty
    return Session(
        image=_path_of(image),
        image_name="" if image is None else str(image.name),
        sample=_sample_of(image),
        truth=_path_of(truth),
        truth_name="" if truth is None else str(truth.name),
        model=model,
        digest=_digest(panel, model),
        budget=panel.budget,
        sampler=panel.sampler.currentData() or "",
        steepness=None if panel.own_steepness.isChecked() else panel.steepness.value(),
        cells=tuple(name for name, box in panel.cell_boxes.items() if box.isChecked()),
        shown=tuple(kind for kind, box in panel.show_boxes.items() if box.isChecked()),
        side_by_side=panel.grid_box.isChecked(),
        live=panel.live_box.isChecked(),
        front="" if cells is None else cells.front,
        classes=panel.classes.classes,
        hidden=tuple(sorted(panel.classes.hidden)),
        camera=() if cells is None else (float(camera.zoom), *(float(c) for c in camera.center)),
        position=tuple(int(i) for i in panel.viewer.dims.current_step),
        corrections=str(entry.folder) if entry is not None and kept else "",
    )


def restore(panel: SamplingPanel, session: Session) -> bool:
    """Have the panel stand as it did, and run; whether that began.

    Raises
    ------
    ImageError
        If the model or the image is not to be found, before anything is changed; or if the image cannot be opened.
    """
    names = panel.shelf.names()
    model = session.model
    if model not in names:
        try:
            panel.shelf.config(model)
            names = [*names, model]
        except ModelError as error:
            model = next((name for name in names if session.digest and _digest(panel, name) == session.digest), "")
            if not model:
                raise ImageError(
                    f"The model {session.model} of this session is not here. Import it on the page Versions, or put "
                    "its folder back, and open the session again."
                ) from error
    image = _found(panel, session.image, session.image_name, session.sample, Image)
    truth: Layer | None = None
    notes = []
    if session.truth_name:
        try:
            truth = _found(panel, session.truth, session.truth_name, "", Labels)
        except ImageError as error:
            notes.append(str(error))
    panel.live_box.setChecked(False)
    panel.live.drop()  # of what was chosen before, nothing is wanted any more
    panel.image.value = image
    panel.truth.value = truth
    panel.offer_models(names, model)
    panel.show_points(*session.budget)
    panel.show_budget()
    panel.sampler.setCurrentIndex(max(0, panel.sampler.findData(session.sampler)))
    panel.own_steepness.setChecked(session.steepness is None)
    if session.steepness is not None:
        panel.steepness.setValue(session.steepness)
    for boxes, wanted in ((panel.cell_boxes, session.cells), (panel.show_boxes, session.shown)):
        for name, box in boxes.items():
            box.setChecked(name in wanted)
    panel.grid_box.setChecked(session.side_by_side)
    config = panel.config
    if config is not None and len(session.classes) == len(config.classes):
        panel.classes.set_classes(session.classes, model=config.classes)
        panel.classes.set_hidden(set(session.hidden))
        # of an image that is shown already nothing else says so
        panel.classes.changed.emit(panel.classes.classes)
    if len(session.position) == panel.viewer.dims.ndim:
        panel.viewer.dims.current_step = session.position
    panel.live_box.setChecked(session.live)
    if model != session.model:
        notes.append(f"The model {session.model} of the session is called {model} now.")
    elif session.digest and _digest(panel, model) != session.digest:
        notes.append(f"The model {model} has changed since the session was saved: results may differ.")
    if not panel.run():
        return False

    def ended() -> None:
        panel.finished.disconnect(ended)
        _look_again(panel, session, notes)

    panel.finished.connect(ended)
    return True


def _look_again(panel: SamplingPanel, session: Session, notes: list[str]) -> None:
    """What waits for the first result: the view, the cell in front, corrections from elsewhere."""
    cells, camera = panel.cells, panel.viewer.scene.camera
    if cells is None or panel.comparison is None:
        return
    if session.front in cells.names:
        cells.flip(session.front)
    if session.camera:
        camera.zoom = session.camera[0]
        centre = session.camera[1:]
        camera.center = (*camera.center[: len(camera.center) - len(centre)], *centre)
    entry, folder = panel.correct.entry, session.corrections
    if folder and entry is not None and entry.folder is not None and str(entry.folder) != folder:
        if (Path(folder) / "corrections.json").is_file():
            panel.correct.imports.file(Path(folder))
        else:
            notes.append(f"The corrections in {folder} are not there any more.")
    if notes:
        panel.say(" ".join(notes))


def _found(panel: SamplingPanel, path: str, name: str, sample: str, kind: type[Layer]) -> Layer:
    """A layer that is open, or is opened now."""
    viewer = panel.viewer

    def fits(layer: Layer) -> bool:
        if not isinstance(layer, kind) or panel.owns(layer):
            return False
        same = _path_of(layer) == path if path else _sample_of(layer) == sample if sample else not _path_of(layer)
        # several layers may come from one file
        return same and str(layer.name).split(" [")[0] == name.split(" [")[0]

    for _ in range(2):
        found = [layer for layer in viewer.layers if fits(layer)]
        if found:
            # napari may have told others of that name apart meanwhile, but of several it is the one of that very name
            return next((layer for layer in found if layer.name == name), found[0])
        if sample:
            viewer.open_sample(PLUGIN, sample)
        elif path and Path(path).exists():
            opened = _open(viewer, path, kind)
            if opened:
                return next((layer for layer in opened if fits(layer)), opened[0])
        else:
            break
    where = f"the file {path} is not there" if path else "it was never in a file"
    raise ImageError(f"{name or 'The image'} is not open, and {where}. Open it, and then the session again.")


def _open(viewer: Any, path: str, kind: type[Layer]) -> list[Layer]:
    before = list(viewer.layers)
    try:
        if kind is Labels:
            viewer.open(path, plugin="napari", layer_type="labels")
        else:
            viewer.open(path, plugin=PLUGIN)
    except (ValueError, OSError, TypeError) as error:  # ImageErrors are ValueErrors
        raise ImageError(f"{path} cannot be opened: {error} Open it, and then the session again.") from error
    return [layer for layer in viewer.layers if layer not in before and isinstance(layer, kind)]


def _path_of(layer: Layer | None) -> str:
    if layer is None:
        return ""
    about = layer.metadata.get(METADATA, {})
    file = about.get("file") if isinstance(about, dict) else None
    path = file["path"] if file else layer.source.path
    return "" if path is None else str(Path(path).resolve())


def _sample_of(layer: Layer | None) -> str:
    sample = None if layer is None else layer.source.sample
    return sample[1] if sample is not None and sample[0] == PLUGIN else ""


def _digest(panel: SamplingPanel, model: str) -> str:
    """SHA-256 of a model's files; empty where it lies in memory alone."""
    from ...versions.checking import MODEL_FILES, hash_of

    version = panel.shelf.version(model)
    try:
        folder = find_model(model) if version is None else panel.shelf.store(version.base).path(version.id)
        return hashlib.sha256("".join(hash_of(folder / name) for name in sorted(MODEL_FILES)).encode()).hexdigest()
    except ModelError:
        return ""
