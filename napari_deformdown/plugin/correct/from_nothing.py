"""`FromNothing`: a model for own classes, and for images such as the one that is open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ...imaging.errors import ImageError
from ...network.catalogue import load_config
from ...network.config import LabelClass, ModelError
from .own_classes import OwnClassesDialog

if TYPE_CHECKING:
    from ...network.channels import ModelInput
    from ..images.frame import Frame
    from ..jobs import Progress
    from .correcting import CorrectPage

__all__ = ["FromNothing"]

# Whose network models for own classes have.
_SOURCE = "generic"
_COLOURS = 3


class FromNothing:
    """Asks for name and classes, looks at what the image holds, and makes the model.

    Parameters
    ----------
    page : CorrectPage
        Whose panel gets the model.
    """

    def __init__(self, page: CorrectPage) -> None:
        self._page = page
        self._hidden = False  # the segmentation of a model that knows nothing
        page.tuning.tuned.connect(lambda _: self._reveal())

    def ask(self) -> None:
        """Show the dialogue."""
        panel = self._page.panel
        dialog = OwnClassesDialog(panel.shelf.names(), self._page, alone=self._one_of_several())
        dialog.accepted.connect(lambda: self.start(dialog.name.text(), dialog.classes, alone=dialog.alone))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _one_of_several(self) -> str:
        """The chosen layer, if a model of one channel would read it alone and others more."""
        panel = self._page.panel
        with suppress(ImageError):
            if panel.image.value is not None and panel.source_for(1).channels < panel.source_for(_COLOURS).channels:
                return str(panel.image.value.name)
        return ""

    def start(self, name: str, classes: Sequence[LabelClass], *, alone: bool = False) -> bool:
        """Make a model for own classes and choose it; returns whether that began.

        Parameters
        ----------
        name : str
            The model's.
        classes : sequence of LabelClass
            In the order of their ids.
        alone : bool
            It reads the chosen layer alone, where that is one of several channels of a file.
        """
        page, panel = self._page, self._page.panel
        try:
            panel.shelf.check_own(name, classes)
            if panel.image.value is None:
                self._make(name, classes, None)
                return True
            frame = panel.source_for(1 if alone else _COLOURS).frame_at(panel.viewer.dims)
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

        with frame.open(lambda done, total: progress("building a pyramid", done, total)) as pyramid:
            return input_for([pyramid], load_config(_SOURCE))

    def _make(self, name: str, classes: Sequence[LabelClass], reads: ModelInput | None) -> None:
        page, panel = self._page, self._page.panel
        try:
            name = panel.shelf.add_own(name, classes, reads)
        except ModelError as error:  # another window took the name meanwhile
            page.say(str(error))
            return
        page.say("")
        box = panel.show_boxes["segmentation"]
        self._hidden = self._hidden or box.isChecked()
        box.setChecked(False)  # it would lie over what is to be painted
        panel.choose_model(name)
        panel.run()
        page.tuning.say(
            f"{name} knows nothing yet, and its segmentation is hidden: paint some of each of its {len(classes)} "
            "classes, then fine-tune."
        )

    def _reveal(self) -> None:
        if self._hidden:
            self._hidden = False
            self._page.panel.show_boxes["segmentation"].setChecked(True)
