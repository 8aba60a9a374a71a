"""Images that share one open file: it stays open for each of them and closes with the last."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.imaging import ImageError, open_image
from napari_deformdown.imaging.tiff_array import TiffBytes

IMAGE = np.arange(3 * 2 * 100 * 120, dtype=np.uint32).reshape(3, 2, 100, 120)


@pytest.fixture
def path(tmp_path) -> Path:
    """Three times of two channels."""
    tifffile.imwrite(tmp_path / "t.ome.tif", IMAGE, metadata={"axes": "TCYX"}, photometric="minisblack")
    return tmp_path / "t.ome.tif"


@pytest.fixture
def closed(monkeypatch) -> list[TiffBytes]:
    """Files that were closed."""
    seen: list[TiffBytes] = []
    close = TiffBytes.close
    monkeypatch.setattr(TiffBytes, "close", lambda self: (seen.append(self), close(self))[1])
    return seen


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.with_range(0, 9),
        lambda image: image.with_channels([1]),
        lambda image: image.with_channels([0, 1]),
        lambda image: image.plane(T=1),
        lambda image: image.plane(),
        lambda image: open_image(image, at={"T": 1}, channels=[1, 0], value_range=(2, 5)),
    ],
    ids=["range", "channel", "all channels", "plane", "same plane", "all at once"],
)
def test_the_file_closes_with_the_last_that_reads_it(path, closed, whole, change) -> None:
    first = open_image(path, at={"T": 0})
    second = change(first)
    third = second.plane(T=2)
    assert third.value_range == second.value_range and third.channels == second.channels
    first.close()
    second.close()
    second.close()
    assert not closed
    assert whole(third)[0, 0, 0] in IMAGE[2, :, 0, 0]
    third.close()
    assert len(closed) == 1
    with pytest.raises(ImageError, match="closed already"):
        third.plane(T=0)


def test_a_change_that_fails_keeps_nothing_open(path, closed) -> None:
    with open_image(path, at={"T": 0}) as image, pytest.raises(ImageError, match="value range"):
        open_image(image, at={"T": 1}, channels=[1], value_range=(5, 2))
    assert len(closed) == 1


def test_a_series_over_many_files_has_few_of_them_open(tmp_path, whole) -> None:
    names = [(f"{k}.ome.tif", uuid.uuid4()) for k in range(12)]
    image = np.random.default_rng(0).integers(0, 255, (12, 64, 80)).astype(np.uint8)
    data = "".join(
        f'<TiffData FirstT="{k}" FirstZ="0" FirstC="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{number}</UUID></TiffData>'
        for k, (name, number) in enumerate(names)
    )
    for k, (name, number) in enumerate(names):
        description = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{number}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
            f'SizeX="80" SizeY="64" SizeC="1" SizeZ="1" SizeT="12"><Channel ID="Channel:0:0"/>{data}</Pixels></Image>'
            "</OME>"
        )
        tifffile.imwrite(tmp_path / name, image[k], description=description, metadata=None, compression="zlib")
    with open_image(tmp_path / names[0][0], at={"T": 0}) as first:
        files = {page.parent.filehandle for page in first.levels[0].array.array._series.pages}
        assert len(files) == 12
        for t in (*range(12), 3):
            with first.plane(T=t) as plane:
                np.testing.assert_array_equal(whole(plane)[..., 0], image[t])
            assert sum(not file.closed for file in files) <= 2
    assert all(file.closed for file in files)
