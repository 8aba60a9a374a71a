"""Words become slides."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_deformdown.batch import check_outputs, find_slides
from napari_deformdown.imaging import ImageError
from napari_deformdown.masks import ArrayMask, export_mask
from napari_deformdown.network import LabelClass


@pytest.fixture
def tree(tmp_path) -> Path:
    for name in ("a.tif", "b.svs", "notes.txt", ".hidden.tif", "x/c.ome.tif", "x/y/d.png", "masks/a.tif", "a.tif.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
    zarr.save_array(tmp_path / "x" / "e.ome.zarr", np.zeros((4, 4), np.uint8))
    return tmp_path


def names(*words: object, **options: object) -> list[str]:
    return [slide.name for slide in find_slides(list(words), **options)]  # type: ignore[arg-type]


def test_files_folders_and_patterns(tree) -> None:
    assert names(tree / "a.tif") == ["a"]
    assert names(tree) == ["a", "b"]
    assert names(tree, without=tree / "masks", recursive=True) == ["a", "b", "x/c", "x/e", "x/y/d"]
    assert names(tree / "x" / "*") == ["c", "e"]
    assert names(f"{tree}/**/*", without=tree / "masks") == ["a", "b", "x/c", "x/e", "x/y/d"]
    assert names(tree / "x" / "e.ome.zarr") == ["e"]
    assert names(tree / "a.tif", tree) == ["a", "b"]  # each once


def test_masks_with_a_record_are_no_slides(tree) -> None:
    mask = ArrayMask(np.zeros((40, 50), np.uint8), [LabelClass("background", "#000000")])
    for name in ("b.tif", "b.confidence.tif", "x/f.png", "x/g.ome.zarr"):
        export_mask(mask, tree / name, holds="mask")
    assert names(tree) == ["a", "b"]
    assert [s.source for s in find_slides([tree])] == [str(tree / "a.tif"), str(tree / "b.svs")]
    assert names(tree / "x", recursive=True) == ["c", "e", "y/d"]
    assert names(tree / "x" / "*") == ["c", "e"]
    assert names(f"{tree}/x/**/*") == ["c", "e", "y/d"]
    assert names(tree / "x" / "f.png") == ["f"]  # what is named is taken


def test_slides_in_the_folder_of_the_masks_are_said(tree, monkeypatch) -> None:
    for word in (tree, tree / "x", tree / "*.tif", f"{tree}/x/**/*.png"):
        with pytest.raises(ImageError, match="lies in the folder that masks are written to"):
            find_slides([word], without=tree)
    monkeypatch.chdir(tree)
    with pytest.raises(ImageError, match="another folder for the masks"):
        find_slides(["."], without=Path())
    with pytest.raises(ImageError, match="holds no images"):
        find_slides([tree / "*.jpg"], without=tree / "masks")
    assert names(tree / "a.tif", without=tree) == ["a"]


def test_sources_are_absolute(tree, monkeypatch) -> None:
    monkeypatch.chdir(tree)
    (slide,) = find_slides(["a.tif"])
    assert slide.source == str(tree / "a.tif") and os.path.isabs(slide.source)


def test_urls_are_slides_as_they_are() -> None:
    (slide,) = find_slides(["s3://bucket/x/a%20b.svs?version=2"])
    assert (slide.source, slide.name) == ("s3://bucket/x/a%20b.svs?version=2", "a b")


def test_remote_folders_and_patterns_are_listed() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("a.tif", "y/b.svs", "notes.txt"):
        memory.pipe_file(f"/deformdown-test/{name}", b"0")
    try:
        assert names("memory://deformdown-test/") == ["a"]
        found = find_slides(["memory://deformdown-test/**"])
        assert [s.name for s in found] == ["a", "y/b"]
        assert all(s.source.startswith("memory://") for s in found)
    finally:
        memory.rm("/deformdown-test", recursive=True)


def test_remote_masks_with_a_record_are_no_slides(tmp_path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    mask = ArrayMask(np.zeros((40, 50), np.uint8), [LabelClass("background", "#000000")])
    for name in ("m.tif", "n.ome.zarr", "more/m.tif", "more/n.ome.zarr"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        export_mask(mask, tmp_path / name)
    zarr.save_array(tmp_path / "z.zarr", np.zeros((4, 4), np.uint8))
    for name in ("a.tif", "more/b.svs", "more/b.svs.json"):  # and what is no record of a mask
        (tmp_path / name).write_text("{}")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            memory.pipe_file(f"/deformdown-masks/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    try:
        assert names("memory://deformdown-masks/") == ["a", "z"] == names("memory://deformdown-masks/*")
        assert names("memory://deformdown-masks/**") == ["a", "more/b", "z"]
        assert names("memory://deformdown-masks/m.tif") == ["m"]  # what is named is taken
        with pytest.raises(ImageError, match="holds no images"):
            find_slides(["memory://deformdown-masks/more/*.tif"])
    finally:
        memory.rm("/deformdown-masks", recursive=True)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("{}/missing.tif", "There is no file"), ("{}/*.jpg", "holds no images"), ("{}/empty", "holds no images")],
)
def test_what_stands_for_nothing_is_said(tree, word, sentence) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(ImageError, match=sentence):
        find_slides([word.format(tree)])


def test_two_masks_of_one_name_are_refused(tree) -> None:
    (tree / "A.PNG").write_bytes(b"0")
    with pytest.raises(ImageError, match=r"one name: .*a\.tif"):
        find_slides([tree])
    with pytest.raises(ImageError, match="one name"):
        find_slides([tree / "a.tif", tree / "masks" / "a.tif"])


def test_a_mask_never_replaces_its_image(tree) -> None:
    slides = find_slides([tree / "a.tif"])
    with pytest.raises(ImageError, match="replace the image itself"):
        check_outputs(slides, tree, [".tif"])
    check_outputs(slides, tree, [".geojson"])
    check_outputs(slides, tree / "masks", [".tif"])


def test_a_dicom_slide_in_several_files_is_one(tmp_path, write_dicom) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    (tmp_path / "other").mkdir()
    for level in ("a.dcm", "b.dcm"), ("c.dcm",), ("other/a.dcm", "other/b.dcm"):
        write_dicom([tmp_path / name for name in level], [image, image[::2, ::2]][: len(level)])
    (tmp_path / "d.dcm").write_bytes(b"nothing that OpenSlide knows")
    assert names(tmp_path, recursive=True) == ["a", "c", "d", "other/a"]
    assert names(tmp_path / "*.dcm") == ["a", "c", "d"]
    assert names(tmp_path / "b.dcm") == ["b"]  # what is named is taken
