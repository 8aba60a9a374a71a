"""What all lazy arrays give to numpy and napari."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_deformdown.imaging.lazy_array import LazyArray


class Counting(LazyArray):
    """Numbers in their order."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype = shape, np.dtype(np.int16)

    def __getitem__(self, key: Any) -> Any:
        return np.arange(self.size, dtype=self.dtype).reshape(self.shape)[key]


def test_it_is_an_array_to_numpy() -> None:
    lazy = Counting(3, 4, 5)
    assert (len(lazy), lazy.ndim, lazy.size, lazy.nbytes) == (3, 3, 60, 120)
    np.testing.assert_array_equal(np.asarray(lazy).ravel(), np.arange(60))
    assert np.asarray(lazy).dtype == np.int16 and np.asarray(lazy, np.float32).dtype == np.float32
    assert repr(lazy) == "<Counting (3, 4, 5), int16>"


def test_without_a_copy_there_is_nothing() -> None:
    with pytest.raises(ValueError, match="a copy"):
        Counting(2).__array__(copy=False)
