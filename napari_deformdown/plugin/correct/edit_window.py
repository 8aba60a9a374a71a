"""What is painted on: a sheet over the whole image, or over the window that is edited pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sheets import Sheet

if TYPE_CHECKING:
    from .correcting import CorrectPage
    from .keeping import Entry

__all__ = ["EditWindow"]


class EditWindow:
    """Gives the painter of a page the sheet of its image, and that of a window while one is open.

    Parameters
    ----------
    page : CorrectPage
        Whose button opens and closes the window.
    """

    def __init__(self, page: CorrectPage) -> None:
        self._page = page
        self._whole: Sheet | None = None

    @property
    def worthwhile(self) -> bool:
        """Whether a window can be finer than the sheet over the whole image."""
        return self._whole is not None and self._whole.level > 0

    def show(self, entry: Entry | None) -> None:
        """Paint on another image, as a whole; on none with None."""
        page = self._page
        page.painter.merge()
        if page.window_button.isChecked():
            page.window_button.setChecked(False)
        self._whole = None if entry is None else Sheet(entry.corrections)
        page.painter.forget_brush()
        page.painter.set_sheet(self._whole, 0 if entry is None else len(entry.classes))

    def reload(self) -> None:
        """The corrections have changed otherwise than by the brush."""
        painter = self._page.painter
        if self._whole is not None and self._whole is not painter.sheet:
            self._whole.reload()
        painter.reload()

    def toggle(self, on: bool) -> None:
        """Open the window over what is in view, or close it."""
        if on:
            self._open()
        elif self._whole is not None and self._page.painter.sheet is not self._whole:
            self._close(self._whole)

    def _open(self) -> None:
        page, whole = self._page, self._whole
        cells, entry = page.painter.cells, page.entry
        if cells is None or entry is None or whole is None:
            return
        view = cells.part_in_view()
        seen = view is not None and view[0] < view[1] and view[2] < view[3]
        window = Sheet(entry.corrections, view) if seen else None
        if window is None or window.level >= whole.level:
            page.say("Zoom in first: the window would be no finer than the whole image.")
            page.window_button.setChecked(False)
            return
        page.painter.merge()
        window.reload()  # what was painted since
        self._use(window)
        rows, columns = window.array.shape
        exact = "pixel by pixel"
        if window.level:
            exact = f"in pixels of {window.scale} x {window.scale}; zoom in for finer ones"
        page.say(f"A window of {rows:,} x {columns:,}, {exact}.")
        if not page.painter.painting:
            page.take("paint")

    def _close(self, whole: Sheet) -> None:
        painter = self._page.painter
        painter.merge()
        window = painter.sheet
        whole.reload(None if window is None else window.window)
        self._use(whole)
        self._page.say("The window is closed; what was painted in it stays.")

    def _use(self, sheet: Sheet) -> None:
        painter = self._page.painter
        painting = painter.painting
        painter.set_sheet(sheet, painter.classes)
        painter.forget_brush()
        if painting:
            self._page.take("paint")
