"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from napari_deformdown.network import DeformedSegmenter, LabelClass, ModelConfig

torch.set_num_threads(1)
settings.register_profile(
    "calm",
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# Look for more with: pytest --hypothesis-profile=search
settings.register_profile("search", settings.get_profile("calm"), derandomize=False, max_examples=400)
settings.load_profile("calm")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def write_dicom() -> Callable[..., str]:
    """Write levels of a slide (rows, columns, 3) as DICOM files of one series, as scanners do; gives its UID."""
    pydicom = pytest.importorskip("pydicom")

    def write(paths: Sequence[Path], levels: Sequence[np.ndarray], um: float = 0.25, tile: int = 64) -> str:
        series = pydicom.uid.generate_uid()
        for path, level in zip(paths, levels, strict=True):
            rows, columns = level.shape[:2]
            down, across = -(-rows // tile), -(-columns // tile)
            padded = np.pad(level, ((0, down * tile - rows), (0, across * tile - columns), (0, 0)))
            frames = padded.reshape(down, tile, across, tile, 3).swapaxes(1, 2)
            meta = pydicom.dataset.FileMetaDataset()
            meta.MediaStorageSOPClassUID = pydicom.uid.VLWholeSlideMicroscopyImageStorage
            meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
            meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            file = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
            file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
            file.SeriesInstanceUID, file.Modality = series, "SM"
            file.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE" if level is levels[0] else "RESAMPLED"]
            file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = rows, columns
            file.Rows = file.Columns = tile
            file.NumberOfFrames, file.SamplesPerPixel, file.PlanarConfiguration = down * across, 3, 0
            file.PhotometricInterpretation, file.PixelRepresentation = "RGB", 0
            file.BitsAllocated, file.BitsStored, file.HighBit = 8, 8, 7
            file.DimensionOrganizationType = "TILED_FULL"
            file.TotalPixelMatrixFocalPlanes = file.NumberOfOpticalPaths = 1
            measures, shared = pydicom.Dataset(), pydicom.Dataset()
            measures.PixelSpacing = [um * levels[0].shape[0] / rows / 1000] * 2
            shared.PixelMeasuresSequence = [measures]
            file.SharedFunctionalGroupsSequence = [shared]
            file.PixelData = frames.tobytes()
            file.save_as(path, enforce_file_format=True)
        return str(series)

    return write


def two_convolutions(channels: int, classes: int) -> torch.nn.Module:
    """The smallest segmenter that can learn something."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 8, 3, padding=1, padding_mode="replicate"),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, classes, 1),
    )


@pytest.fixture
def make_tiny_model():
    """Build an untrained model of three classes with a segmenter of two convolutions."""

    def make(seed: int = 0, **changes: object) -> DeformedSegmenter:
        torch.manual_seed(seed)
        options: dict[str, object] = {
            "name": "tiny",
            "classes": (
                LabelClass("background", "#000000"),
                LabelClass("Gefäß", "#c04080"),
                LabelClass("lesion", "#40c080"),
            ),
            "overview_points": 512,
            "density_channels": 8,
            "budget": (16, 24),
        }
        config = ModelConfig(**{**options, **changes})  # type: ignore[arg-type]
        segmenter = two_convolutions(config.channels, len(config.classes))
        return DeformedSegmenter(config, segmenter=segmenter).eval()

    return make


@pytest.fixture
def tiny_model(make_tiny_model) -> DeformedSegmenter:
    return make_tiny_model()


@pytest.fixture
def bent_model(make_tiny_model) -> DeformedSegmenter:
    """A tiny model whose density net's head is not zero: its points do leave the uniform grid."""
    model = make_tiny_model(seed=1)
    torch.nn.init.normal_(model.density_net.head.weight, std=2.0)
    return model
