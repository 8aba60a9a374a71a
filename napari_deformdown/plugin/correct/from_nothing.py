"""`FromNothing`: a model for own classes, and for images such as the one that is open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ...imaging.errors import ImageError
from ...network.catalogue import load_config
from ...network.config import LabelClass, ModelError
from ..versions.own_models import SOURCE
from .own_classes import OwnClassesDialog

if TYPE_CHECKING:
    from ...network.channels import ModelInput
    from ..images.frame import Frame
    from ..jobs import Progress
    from .correcting import CorrectPage

__all__ = ["FromNothing"]

_COLOURS = 3
# More planes than that are no channels.
_MOST_CHANNELS = 64


class FromNothing:
    """Asks for name and classes, looks at what the image holds, and makes the model.

    Parameters
    ----------
    page : CorrectPage
        Whose panel gets the model.
    """

    def __init__(self, page: CorrectPage) -> None:
        self._page = page
        self._hidden = ""  # the model that knows nothing, while its segmentation is hidden
        page.tuning.tuned.connect(lambda _: self._reveal())
        page.panel.model.changed.connect(lambda name: self._reveal() if name != self._hidden else None)

    def ask(self) -> None:
        """Show the dialogue."""
        panel = self._page.panel
        dialog = OwnClassesDialog(panel.shelf.names(), self._page, readings=self._readings())
        dialog.accepted.connect(lambda: self.start(dialog.name.text(), dialog.classes, dialog.channels))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _readings(self) -> dict[str, int]:
        """Ways to read the chosen layer: one of a file's channels or all of them, a stack's planes or channels."""
        layer, found = self._page.panel.image.value, {}
        with suppress(ImageError):
            if layer is not None and not layer.rgb:
                alone, all_of_file = self._channels_for(1), self._channels_for(_COLOURS)
                lengths = [int(n) for n in layer.level_shapes[0][: layer.ndim - 2]]
                if all_of_file > alone and all_of_file not in lengths:
                    return {f"all {all_of_file} channels of the file": all_of_file, f"{layer.name} alone": 1}
                found = {"each plane by itself": 1} if alone == 1 else {}
                as_channels = [n for n in lengths if 1 < n <= _MOST_CHANNELS and self._channels_for(n) == n]
                found |= {f"{n} planes as channels": n for n in as_channels}
        return found

    def _channels_for(self, wanted: int) -> int:
        return self._page.panel.source_for(wanted).channels

    def start(self, name: str, classes: Sequence[LabelClass], channels: int | None = None) -> bool:
        """Make a model for own classes and choose it; returns whether that began.

        Parameters
        ----------
        name : str
            The model's.
        classes : sequence of LabelClass
            In the order of their ids.
        channels : int, optional
            The image is read as models of so many channels read it, see `Source`; as it suggests itself without.
        """
        page, panel = self._page, self._page.panel
        try:
            panel.shelf.check_own(name, classes)
            if panel.image.value is None:
                self._make(name, classes, None)
                return True
            frame = panel.source_for(channels or _COLOURS).frame_at(panel.viewer.dims)
        except (ModelError, ImageError) as error:
            page.say(str(error))
            return False

        def look(progress: Progress) -> ModelInput | None:
            return self._look(frame, progress)

        page.say(f"Looking at the values of {frame.source.name}.")
        page.start(look, lambda reads: self._make(name, classes, reads))
        return True

    @staticmethod
    def _look(frame: Frame, progress: Progress) -> ModelInput | None:
        from ...finetuning import input_for

        try:
            with frame.open(lambda done, total: progress("building a pyramid", done, total)) as pyramid:
                return input_for([pyramid], load_config(SOURCE))
        finally:
            frame.source.close()  # it was made to look alone

    def _make(self, name: str, classes: Sequence[LabelClass], reads: ModelInput | None) -> None:
        page, panel = self._page, self._page.panel
        try:
            name = panel.shelf.add_own(name, classes, reads)
        except ModelError as error:  # another window took the name meanwhile
            page.say(str(error))
            return
        page.say("")
        panel.choose_model(name)
        box = panel.show_boxes["segmentation"]
        self._hidden = name if box.isChecked() else ""
        box.setChecked(False)  # it would lie over what is to be painted
        panel.run()
        page.tuning.say(
            f"{name} knows nothing yet, and its segmentation is hidden: paint some of each of its {len(classes)} "
            "classes, then fine-tune."
        )

    def _reveal(self) -> None:
        if self._hidden:
            self._hidden = ""
            self._page.panel.show_boxes["segmentation"].setChecked(True)
