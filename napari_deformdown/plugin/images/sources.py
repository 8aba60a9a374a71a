"""From an open layer and the viewer's sliders to what a model reads: frames of an image, each a `Pyramid`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging.cache import CachedArray
from ...imaging.errors import ImageError
from ...imaging.frames import FrameArray, Recent
from ...imaging.growing import GrowingLevel
from .. import settings
from ..readers import file_state
from ..samples import METADATA
from .frame import Frame, Progress
from .image_record import image_record
from .layer_axes import channel_axis, check_channels, joined, letters_of
from .placing import in_micrometres, place_of_plane, positions, view_problem

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

    from ...imaging.pyramid import Pyramid
    from ...network.config import ModelConfig

__all__ = ["Source"]

# Frames whose pyramids stay open.
_KEPT = 4
# Sides beyond this call for a pyramid.
_PLAIN_SIDE = 4096
_LAZY = (CachedArray, FrameArray, GrowingLevel)


class Source:
    """An open Image layer, or several channel layers, as frames of an image.

    A layer that the plugin opened from a file is read from there, with all its channels; others are read as they are.
    RGB layers have their colours as channels, others one. An axis named "c" or "channel" holds channels; without one,
    where the model wants several, the only axis of as many entries does. All other axes beside the last two are frames.

    Parameters
    ----------
    layer : napari.layers.Image, or sequence of them
        Several are channels in that order, of the same shape and without colours.
    channels : int, optional
        How many channels the model reads: 1 takes this layer's alone where a file has several.
    edits : callable, optional
        edits(layer) says how often its pixels were changed in place.

    Raises
    ------
    ImageError
        If the layers do not go together, or have fewer than two axes.
    """

    def __init__(
        self,
        layer: Image | Sequence[Image],
        channels: int | None = None,
        edits: Callable[[Image], int] = lambda layer: 0,
    ) -> None:
        self.layers: tuple[Image, ...] = tuple(layer) if isinstance(layer, (list, tuple)) else (layer,)
        self.layer = first = self.layers[0]
        self._raw = tuple(v.data_raw for v in self.layers)
        check_channels(self.layers)
        about = first.metadata.get(METADATA, {})
        self._file: Mapping[str, Any] | None = about.get("file") if self._is_ours() else None
        self._alone = about.get("channel") if channels == 1 else None
        letters = letters_of(first)
        self._channel_axis = None if self._file or first.rgb else channel_axis(first, channels)
        if self._channel_axis is not None:
            letters[self._channel_axis] = "C"
        #: A letter for each axis of frames.
        self.axes = "".join(a for a in letters if a != "C")
        shape = tuple(int(n) for n in first.level_shapes[0])[: first.ndim]
        #: Number of frames along each of them.
        self.frames: tuple[int, ...] = tuple(n for a, n in zip(letters, shape, strict=False) if a != "C")
        #: Rows and columns at full resolution.
        self.shape: tuple[int, int] = (shape[-2], shape[-1])
        self._pixel_size: tuple[float, float] | None = about.get("pixel_size")
        self._letters = "".join(letters)
        self.channels, self.channel_names = self._channels(about, shape)
        self._opened: Recent[Pyramid] = Recent(_KEPT, lambda pyramid: pyramid.close())
        self._base: Pyramid | None = None
        self._edits = edits
        self._opened_edition = self.edition
        self._lock = threading.Lock()

    # ---- what it is

    @property
    def name(self) -> str:
        """As the layer is called now."""
        return str(self.layer.name)

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Height and width of a pixel in micrometres: by the layer's scale as it is now, else as the file says."""
        return in_micrometres(self.layer) or self._pixel_size

    def called(self, name: str) -> str:
        """What records call the image, which was read under a name: a file keeps its own."""
        return name if self._file is not None else self.name

    @property
    def key(self) -> Hashable:
        """What tells this image from others, among those that are open."""
        ids = tuple((str(v.unique_id), id(raw)) for v, raw in zip(self.layers, self._raw, strict=True))
        return ids, self._letters, self._alone

    @property
    def edition(self) -> int:
        """How often pixels were changed in place: what was read before is of others. Files are as they were opened."""
        return 0 if self._file is not None else sum(map(self._edits, self.layers))

    @property
    def current(self) -> bool:
        """Whether the layers still hold the data that this source was made of; make another one if not."""
        return all(v.data_raw is raw for v, raw in zip(self.layers, self._raw, strict=True))

    @property
    def place(self) -> dict[str, Any]:
        """Scale, translate, rotate, shear, affine and units of a two-dimensional layer over the frames."""
        return place_of_plane(self.layer)

    @property
    def record(self) -> dict[str, Any]:
        """What identifies the image in records, see `image_record`; it may read pixels."""
        return image_record(self.name, self._file, self._raw, self.layer)

    def fits(self, config: ModelConfig) -> str | None:
        """None where a model can read this image, else a sentence that says why not."""
        from ...network.channels import channels_for

        try:
            channels_for(self.name, self.channels, self.channel_names, config)
        except ImageError as error:
            return f"{error} A new one for such images: Correct, Start from nothing."
        return None

    def pyramid_note(self) -> str | None:
        """A sentence where the first look takes long, because a pyramid is or has to be built; else None."""
        data = self._levels(self.layer)
        growing = getattr(data[0], "growing", None)
        if growing is not None:
            if growing.pyramid is not None:
                return None
            done, total = growing.done
            return f"The pyramid of {self.name} is being built: {done / total:.0%}."
        coarsest = [int(n) for n in self.layer.level_shapes[-1]][: self.layer.ndim][-2:]
        if max(coarsest) <= _PLAIN_SIDE:
            return None
        return f"{self.name} has no pyramid. One is built at the first run, which takes longer."

    # ---- frames

    def problem(self, dims: Dims) -> str | None:
        """None where the viewer shows a frame of this image, else a sentence that says what to change."""
        if self.shape == (1, 1):  # of which napari shows no levels
            return f"{self.name} is a single pixel, in which nothing can be found. Choose another image."
        return view_problem(self.layer, dims, None if self._channel_axis is None else {self._channel_axis})

    def position(self, dims: Dims) -> tuple[int, ...]:
        """Where the viewer's sliders stand along `axes`, in planes of this image."""
        found = positions(self.layer, dims)
        return tuple(p for p, a in zip(found, self._letters, strict=True) if a != "C")

    def frame(self, step: Sequence[int] = ()) -> Frame:
        """A frame of the image.

        Parameters
        ----------
        step : sequence of int
            An index for each of `axes`, or one for each axis of the layer or the viewer, of which those that belong to
            `axes` count; see `position` for where the sliders stand.

        Raises
        ------
        ImageError
            If there is no such frame.
        """
        step = tuple(int(i) for i in step)
        if len(step) >= self.layer.ndim:
            own = step[-self.layer.ndim :]
            step = tuple(i for i, a in zip(own, self._letters, strict=False) if a != "C")
        if len(step) != len(self.axes):
            raise ImageError(f"{self.name} has the axes {self.axes or 'Y, X'} to choose frames from, not {len(step)}.")
        for axis, index, count in zip(self.axes, step, self.frames, strict=True):
            if not 0 <= index < count:
                raise ImageError(f"{self.name} has {count} frames along {axis}, from 0: there is no {index}.")
        return Frame(self, step, self.edition)

    def every_frame(self) -> list[Frame]:
        """All frames, the last axis first."""
        return [self.frame(step) for step in product(*map(range, self.frames))]

    def frame_at(self, dims: Dims) -> Frame:
        """The frame that the viewer shows.

        Raises
        ------
        ImageError
            If it shows none, see `problem`.
        """
        problem = self.problem(dims)
        if problem is not None:
            raise ImageError(problem)
        return self.frame(self.position(dims))

    def close(self) -> None:
        """Let go of what is open; it opens again when it is asked for."""
        self._opened.clear()
        with self._lock:
            base, self._base = self._base, None
        if base is not None:
            base.close()

    # ---- opening

    def open(self, position: tuple[int, ...], progress: Progress | None = None) -> Pyramid:
        """The pyramid of a frame, see `Frame.open`."""
        edition = self.edition
        if edition != self._opened_edition:
            self._opened_edition = edition
            self.close()
        with self._lock:
            kept = self._opened.get(position)
            if kept is not None:
                return kept.with_channels(range(kept.channels))
            base = self._base
        at = dict(zip(self.axes, position, strict=True))
        # a stack of one frame along an axis has none to choose there
        asked = {a: i for a, i, n in zip(self.axes, position, self.frames, strict=True) if n > 1}
        opened = base.plane(progress, **asked) if base is not None and asked else self._read(at, progress)
        with self._lock:
            if self._base is None and asked:
                self._base = opened.with_channels(range(opened.channels))
            handed = opened.with_channels(range(opened.channels))
            self._opened.put(position, opened)
        return handed

    def _read(self, at: dict[str, int], progress: Progress | None) -> Pyramid:
        from ...imaging.pyramid import Pyramid
        from ...imaging.readers import open_image

        settings.apply()
        growing = getattr(self._levels(self.layer)[0], "growing", None)
        if growing is not None:
            found = growing.wait(progress)
            return found if self._alone is None else _taken(found, [self._alone])
        if self._file is not None:
            path = Path(self._file["path"])
            if not path.exists() or file_state(path) != self._file:
                raise ImageError(
                    f"{path.name} has been changed or removed since {self.name} was opened. Open it again."
                )
            return open_image(path, at=at, channels=None if self._alone is None else [self._alone], progress=progress)
        levels = [joined(arrays) for arrays in zip(*(self._levels(v) for v in self.layers), strict=True)]
        axes = self._letters + "YX" + ("S" if self.layer.rgb or len(self.layers) > 1 else "")
        return Pyramid.from_array(
            levels,
            axes=axes,
            at=at,
            name=self.name,
            pixel_size=self.pixel_size,
            channel_names=self.channel_names,
            progress=progress,
        )

    def _levels(self, layer: Image) -> list[Any]:
        raw = self._raw[self.layers.index(layer)]
        return list(raw) if layer.multiscale else [raw]

    def _is_ours(self) -> bool:
        """Whether the data is what the reader made: a person may have put other data into the layer."""
        return all(isinstance(level, _LAZY) for level in self._levels(self.layer))

    def _channels(self, about: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, tuple[str, ...]]:
        if self._file is not None:
            names = tuple(about.get("channel_names", ()))
            if self._alone is None:
                return int(about.get("channels", 1)), names
            return 1, names[self._alone : self._alone + 1]
        if len(self.layers) > 1:
            return len(self.layers), tuple(str(v.name) for v in self.layers)
        if self.layer.rgb:
            return int(self._levels(self.layer)[0].shape[-1]), ()
        return (1 if self._channel_axis is None else shape[self._channel_axis]), ()


def _taken(pyramid: Pyramid, channels: Sequence[int]) -> Pyramid:
    with pyramid:
        return pyramid.with_channels(channels)
