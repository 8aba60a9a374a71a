"""Labelled images: which labels belong to which image, and what their ids stand for."""

from __future__ import annotations

import gc
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from napari_deformdown.imaging import ImageError, label_files
from napari_deformdown.imaging.pairs import (
    IGNORE,
    LabelFile,
    LabelIds,
    LabelledPair,
    find_pairs,
    label_source,
    open_labels,
    read_pairs,
    stem_of,
)

THREE = LabelIds(3)


@pytest.fixture
def folders(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    return images, labels


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


def some_ids(shape=(37, 53), most=3, dtype="uint8"):
    return np.random.default_rng(0).integers(0, most, shape).astype(dtype)


def write_png(path, rows: np.ndarray, bits: int, kind: int = 0) -> None:
    """A PNG file whose samples are exactly `rows` (H, samples), with any bits per sample."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    high, samples = rows.shape
    wide = samples // {0: 1, 2: 3, 4: 2}[kind]
    bytes_ = rows.astype(">u2").view(np.uint8).reshape(high, samples, 2)
    packed = np.packbits(np.unpackbits(bytes_, -1)[..., -bits:].reshape(high, -1), -1)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    head = struct.pack(">IIBBBBB", wide, high, bits, kind, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def open_files() -> set[str]:
    return {os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")}


# -- which labels belong to which image


def test_images_and_labels_pair_by_name_whatever_their_endings(folders):
    images, labels = folders
    touch(images, "b.tif", "a.JPG", "c.ome.tiff", "e.v2.svs", "notes.txt", ".hidden.png")
    touch(labels, "a.png", "b.ome.tif", "c.png", "e.v2.png", "ids.toml")
    zarr.create_array(images / "d.ome.zarr", shape=(4, 4), dtype="uint8")
    zarr.create_array(labels / "d.zarr", shape=(4, 4), dtype="uint8")
    (images / "folder").mkdir()
    found = find_pairs(images, labels)
    assert [pair.name for pair in found] == ["a", "b", "c", "d", "e.v2"]
    assert [pair.image.name for pair in found] == ["a.JPG", "b.tif", "c.ome.tiff", "d.ome.zarr", "e.v2.svs"]
    assert [pair.labels.name for pair in found] == ["a.png", "b.ome.tif", "c.png", "d.zarr", "e.v2.png"]
    assert {pair.split for pair in found} == {""}


@pytest.mark.parametrize(
    ("of_images", "of_labels", "sentence"),
    [
        (["a.tif", "b.tif", "c.tif"], ["a.png"], "has no labels of the same name: b.tif, c.tif. Add"),
        (["a.tif"], ["a.png", "b.png"], "has no images of the same name: b.png. Add"),
        (["a.tif"], ["a.png", "a.ome.tif"], "several labels of one name: a (a.ome.tif, a.png)"),
        (["a.tif", "a.jpg"], ["a.png"], "several images of one name: a (a.jpg, a.tif)"),
        (
            ["10.tif", "11.tif"],
            ["10.png", "110.png"],
            "same name: 11.tif. Add them, or take these images out of the folder.",
        ),
        (["9.tif", "10.tif"], ["9.png", "10_mask.png"], "as 10_mask.png may be for 10.tif, can be renamed, or"),
        (["readme.txt"], ["a.png"], "holds no images"),
        (["a.tif"], [], "holds no labels"),
        ([f"{k:02}.tif" for k in range(14)] + ["a.tif"], ["a.png"], "08.tif, 09.tif and 4 more. Add"),
    ],
)
def test_what_does_not_pair_is_a_sentence_that_lists_it(of_images, of_labels, sentence, folders):
    touch(folders[0], *of_images)
    touch(folders[1], *of_labels)
    with pytest.raises(ImageError) as error:
        find_pairs(*folders)
    assert sentence in str(error.value)


def test_missing_and_equal_folders_are_sentences(folders, tmp_path):
    touch(folders[0], "a.tif")
    with pytest.raises(ImageError, match="no folder .*nowhere of labels"):
        find_pairs(folders[0], tmp_path / "nowhere")
    with pytest.raises(ImageError, match="same folder"):
        find_pairs(folders[0], folders[0])


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_lists_pairs_in_its_order(mark, folders, tmp_path):
    touch(folders[0], "b.tif", "a.ome.tif")
    touch(folders[1], "x.png", "y.png")
    rows = [["image", "labels", "patient", "split"]]
    rows += [["images/b.tif", "labels/x.png", "7", "train"], ["images/a.ome.tif", "labels/y.png", "8", ""]]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(mark.join(row) for row in rows) + "\n", "utf-8-sig")
    assert read_pairs(table) == [
        LabelledPair(folders[0] / "b.tif", folders[1] / "x.png", "b", "train"),
        LabelledPair(folders[0] / "a.ome.tif", folders[1] / "y.png", "a", ""),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,mask\na.tif,a.png\n", "lacks the column labels."),
        ("picture,mask\na.tif,a.png\n", "lacks the columns image and labels."),
        ("", "lacks the columns"),
        ("image,labels\n", "lists no images"),
        ("image,labels\na.tif,\n", "without image or labels: a.tif"),
        ("image,labels\na.tif\n", "without image or labels: a.tif"),
        ("image,labels\na.tif,a.png\nb.tif,b.png\n", "b.png"),
        ("image,labels\na.tif,a.png\na.tif,a.png\n", "twice"),
    ],
)
def test_a_table_that_lacks_something_is_a_sentence(text, sentence, tmp_path):
    touch(tmp_path, "a.tif", "a.png")
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    with pytest.raises(ImageError) as error:
        read_pairs(table)
    assert sentence in str(error.value) and "pairs.csv" in str(error.value)


def test_a_table_that_is_missing_or_no_text_is_a_sentence(tmp_path):
    with pytest.raises(ImageError, match="no table"):
        read_pairs(tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ImageError, match="cannot be read as a table"):
        read_pairs(tmp_path / "pairs.csv")


# -- what ids stand for


@given(
    hnp.arrays(
        st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64"]),
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=20),
        elements=st.integers(0, 9),
    ),
    st.dictionaries(st.integers(0, 9), st.sampled_from([0, 1, 2, 3, 4, IGNORE]), max_size=6),
    st.sampled_from([None, 0, 4, 9]),
    st.booleans(),
)
def test_ids_become_what_the_mapping_says_pixel_by_pixel(array, mapping, ignore, strided):
    ids = LabelIds(5, mapping, ignore)
    if strided:
        array = np.repeat(array, 2, -1)[..., ::2]

    def meant(number: int) -> int | None:
        if number in mapping:
            return mapping[number]
        if number == ignore:
            return IGNORE
        return number if number < 5 and number not in mapping.values() else None

    expected = [meant(int(n)) for n in array.flat]
    if None in expected:
        with pytest.raises(ImageError, match="x.png holds the id"):
            ids.apply(array, "x.png")
    else:
        found = ids.apply(array, "x.png")
        assert found.dtype == np.uint8 and found.shape == array.shape
        assert found.reshape(-1).tolist() == expected


def test_ids_of_any_size_and_sign_can_be_mapped():
    ids = LabelIds(2, {-1: IGNORE, 10**12: 1, -(10**9): 0})
    array = np.array([[-1, 10**12], [-(10**9), 10**12]])
    assert ids.apply(array, "x").tolist() == [[IGNORE, 1], [0, 1]]


def test_true_and_false_are_ids():
    assert LabelIds(2).apply(np.array([[True, False]]), "x").tolist() == [[1, 0]]


def test_255_is_ignored_unless_it_is_mapped_or_nothing_is_ignored():
    array = np.array([0, 255], np.uint8)
    assert LabelIds(2).apply(array, "x").tolist() == [0, IGNORE]
    assert LabelIds(2, {255: 1}).apply(array, "x").tolist() == [0, 1]
    with pytest.raises(ImageError, match="id 255"):
        LabelIds(2, ignore=None).apply(array, "x")


def test_unknown_ids_are_named_from_the_whole_array(monkeypatch):
    """Not only from the first piece that holds any."""
    array = np.zeros((3000, 1000), np.uint16)
    array[5, 5], array[2999, 999], array[1500, 0] = 7, 300, 65535
    with pytest.raises(ImageError) as error:
        THREE.apply(array, "a.png")
    assert "a.png holds the ids 7, 300, 65535, but the 3 classes are 0 to 2, and 255 is ignored." in str(error.value)


def test_an_id_that_would_merge_with_a_mapped_one_is_unknown():
    """With 3 mapped to 1 an id 1 that nobody named has an unclear meaning."""
    with pytest.raises(ImageError, match="holds the id 1,"):
        LabelIds(3, {3: 1}).apply(np.array([0, 1, 3], np.uint8), "x")
    assert LabelIds(3, {3: 1, 1: 1}).apply(np.array([0, 1, 2, 3], np.uint8), "x").tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize("mapping", [{1: 3}, {1: -1}, {1: 256}])
def test_a_mapping_to_no_class_is_a_sentence(mapping):
    with pytest.raises(ImageError, match="3 classes are 0 to 2"):
        LabelIds(3, mapping)


def test_fractions_are_no_ids():
    with pytest.raises(ImageError, match="float32, but labels are whole numbers"):
        THREE.apply(np.zeros((2, 2), np.float32), "a.tif")


@pytest.mark.parametrize(
    ("name", "text", "ignore"),
    [
        ("ids.toml", 'folder = "masks"\nignore = 9\n[ids]\n"7" = 1\n"8" = "ignore"\n', 9),
        ("ids.json", json.dumps({"folder": "masks", "ignore": 9, "ids": {"7": 1, "8": "ignore"}}), 9),
        ("masks/ids.csv", "id,class\n7,1\n8,ignore\n", 255),
        ("masks/ids.tsv", "id\tclass\n7\t1\n8\t255\n", 255),
    ],
)
def test_a_file_maps_ids_and_says_where_labels_are(name, text, ignore, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / name).write_text(text)
    folder, ids = label_source(tmp_path / name, 3)
    assert folder.samefile(tmp_path / "masks")
    assert ids == LabelIds(3, {7: 1, 8: IGNORE}, ignore) == LabelIds.from_file(tmp_path / name, 3)


def test_a_folder_of_labels_holds_class_ids(tmp_path):
    assert label_source(tmp_path, 4) == (tmp_path, LabelIds(4))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("ids.toml", "[ids\n", "cannot be read"),
        ("ids.json", "[1, 2]", "has the entries folder"),
        ("ids.toml", '[id]\n"7" = 1\n', "not as here: id."),
        ("ids.toml", "folder = 3\n", "not as here: folder."),
        ("ids.toml", '[ids]\n"seven" = 1\n', "the entry 'seven': 1"),
        ("ids.toml", '[ids]\n"7" = "gland"\n', "the entry '7': 'gland'"),
        ("ids.toml", '[ids]\n"7" = true\n', "the entry '7': True"),
        ("ids.toml", '[ids]\n"7" = 1\n"07" = 2\n', "the entry '07': 2"),
        ("ids.toml", '[ids]\n"7" = 5\n', "mapped to what is no class (7 to 5)"),
        ("ids.toml", 'folder = "nowhere"\n', "nowhere, which ids.toml names"),
        ("ids.toml", 'ignore = "no"\n', "ignore in ids.toml"),
        ("ids.csv", "from,to\n7,1\n", "the columns id and class"),
        ("ids.csv", "id,class\n7,1\n7,2\n", "twice"),
        ("ids.txt", "7 1", "no folder of labels, nor"),
        (None, "", "no folder or file"),
    ],
)
def test_a_broken_file_of_ids_is_a_sentence(name, text, sentence, tmp_path):
    path = tmp_path / (name or "ids.toml")
    if name:
        path.write_text(text)
    with pytest.raises(ImageError) as error:
        label_source(path, 3)
    assert sentence in str(error.value)


# -- labels from files


def _palette(path, ids):
    image = Image.fromarray(ids).convert("P")
    image.putpalette([200, 10, 30] * 3 + [0, 0, 0] * 253)  # all colours alike: only indices tell ids apart
    image.putdata(ids.reshape(-1).tolist())
    image.save(path)


def _zarr(path, ids):
    group = zarr.create_group(path)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": n, "type": "space"} for n in "zyx"],
                "datasets": [{"path": str(k)} for k in range(2)],
            }
        ],
    }
    for k in range(2):
        data = ids[None, :: 2**k, :: 2**k]
        group.create_array(str(k), shape=data.shape, dtype=data.dtype, chunks=(1, 16, 16))[:] = data


WRITERS = {
    "grey.png": lambda path, ids: Image.fromarray(ids).save(path),
    "palette.png": _palette,
    "deep.png": lambda path, ids: write_png(path, ids, 16),
    "two.png": lambda path, ids: write_png(path, ids, 2),
    "four.png": lambda path, ids: write_png(path, ids, 4),
    "colour.png": lambda path, ids: Image.fromarray(np.stack([ids] * 3, -1)).save(path),
    "opaque.png": lambda path, ids: Image.fromarray(np.stack([ids] * 3 + [ids * 0 + 255], -1)).save(path),
    "alpha.png": lambda path, ids: Image.fromarray(np.stack([ids, ids * 0 + 255], -1)).save(path),
    "grey.bmp": lambda path, ids: Image.fromarray(ids).save(path),
    "strips.tif": lambda path, ids: tifffile.imwrite(path, ids, compression="zlib", rowsperstrip=7),
    "tiles.ome.tif": lambda path, ids: tifffile.imwrite(path, ids, tile=(16, 16), compression="lzw"),
    "wide.tif": lambda path, ids: tifffile.imwrite(path, ids.astype(np.int32)),
    "palette.tif": lambda path, ids: tifffile.imwrite(
        path, ids, photometric="palette", colormap=np.zeros((3, 256), np.uint16)
    ),
    "colour.tif": lambda path, ids: tifffile.imwrite(path, np.stack([ids] * 3, -1), photometric="rgb"),
    "labels.ome.zarr": _zarr,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("lazy", [False, True])
def test_labels_are_the_ids_that_were_written(name, lazy, tmp_path, monkeypatch):
    if lazy:
        monkeypatch.setattr(label_files, "_LAZY", 0)
        monkeypatch.setattr(label_files, "_STRIP", 800)
    ids = some_ids()
    WRITERS[name](tmp_path / name, ids)
    found = open_labels(tmp_path / name, LabelIds(3, {2: 0, 0: 2}), ids.shape)
    assert isinstance(found, LabelFile) == (lazy and name.endswith(("tif", "zarr")))
    assert found.shape == ids.shape and found.dtype == np.uint8
    assert np.array_equal(np.asarray(found), np.array([2, 1, 0])[ids])


def test_black_and_white_is_0_and_1(tmp_path):
    ids = some_ids(most=2)
    Image.fromarray(ids * 255).convert("1").save(tmp_path / "a.png")
    assert np.array_equal(open_labels(tmp_path / "a.png", LabelIds(2), ids.shape), ids)


def test_sixteen_bits_keep_ids_beyond_255(tmp_path):
    ids = some_ids(dtype="uint16") * 1000
    Image.fromarray(ids).save(tmp_path / "a.png")
    found = open_labels(tmp_path / "a.png", LabelIds(3, {1000: 1, 2000: 2}), ids.shape)
    assert np.array_equal(found, ids // 1000)


@pytest.fixture
def lazy_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(label_files, "_LAZY", 0)
    monkeypatch.setattr(label_files, "_STRIP", 53 * 32)
    ids = some_ids((101, 53))
    tifffile.imwrite(tmp_path / "a.tif", ids, tile=(16, 16), compression="zlib")
    with open_labels(tmp_path / "a.tif", THREE, ids.shape) as found:
        yield ids, found


BOUNDS = st.one_of(st.none(), st.integers(-110, 110))
PARTS = st.one_of(st.integers(-53, 52), st.builds(slice, BOUNDS, BOUNDS, st.one_of(st.none(), st.integers(1, 40))))


@given(st.one_of(PARTS, st.tuples(PARTS), st.tuples(PARTS, PARTS), st.just(Ellipsis)))
def test_lazy_labels_slice_as_arrays_do(lazy_labels, key):
    ids, found = lazy_labels
    assert np.array_equal(found[key], ids[key])


def test_lazy_labels_refuse_what_they_cannot_do(lazy_labels):
    _, found = lazy_labels
    for key in (101, -102, (0, 53), slice(None, None, -1), [1, 2], (0, 0, 0)):
        with pytest.raises(IndexError):
            found[key]


def test_lazy_labels_decode_a_strip_once_for_all_its_rows(lazy_labels):
    ids, found = lazy_labels
    level, read = found._level, []

    class Counting:
        def read(self, *region):
            read.append(region)
            return level.read(*region)

    found._level = Counting()
    assert np.array_equal([found[row] for row in range(101)], ids)
    assert read == [(0, 32, 0, 53), (32, 64, 0, 53), (64, 96, 0, 53), (96, 101, 0, 53)]


def test_lazy_labels_close_with_the_last_who_holds_them(tmp_path, monkeypatch):
    monkeypatch.setattr(label_files, "_LAZY", 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, some_ids(), tile=(16, 16))
    labels = open_labels(path, THREE, (37, 53))
    assert str(path) in open_files()
    del labels
    gc.collect()
    assert str(path) not in open_files()
    monkeypatch.setattr(label_files, "_CHUNK", 100)  # pieces so large that nothing is won by reading parts
    assert isinstance(open_labels(path, THREE, (37, 53)), np.ndarray)
    assert str(path) not in open_files()


def test_unknown_ids_of_a_file_are_named_wherever_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(label_files, "_STRIP", 53 * 16)
    ids = some_ids()
    ids[0, 0], ids[36, 52] = 9, 17
    tifffile.imwrite(tmp_path / "a.tif", ids, tile=(16, 16))
    with pytest.raises(ImageError, match=r"a\.tif holds the ids 9, 17,"):
        open_labels(tmp_path / "a.tif", THREE, ids.shape)
    assert str(tmp_path / "a.tif") not in open_files()
    monkeypatch.setattr(label_files, "_LAZY", 0)
    with open_labels(tmp_path / "a.tif", THREE, ids.shape) as labels:
        assert np.array_equal(labels[16:32], ids[16:32])
        with pytest.raises(ImageError, match=r"a\.tif holds the id 9,"):
            labels[:4, :4]


@pytest.mark.parametrize("name", ["grey.png", "strips.tif", "labels.ome.zarr"])
def test_labels_of_another_size_are_a_sentence(name, tmp_path):
    WRITERS[name](tmp_path / name, some_ids())
    with pytest.raises(ImageError, match=rf"{name} have 37 x 53 pixels, but their image has 1,037 x 53"):
        open_labels(tmp_path / name, THREE, (1037, 53))


def write_five(path, ids, axes):
    tifffile.imwrite(path, np.stack([ids] * 5), metadata={"axes": axes})


def _colours(path, ids):
    pixels = np.stack([ids, ids, 2 - ids], -1)
    Image.fromarray(pixels).save(path) if path.suffix == ".png" else tifffile.imwrite(path, pixels, photometric="rgb")


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("a.png", _colours, "a.png is a colour image"),
        ("a.tif", _colours, "a.tif is a colour image"),
        ("a.png", lambda path, ids: write_png(path, np.repeat(ids, 3, 1), 16, 2), "16 bit colour image"),
        ("a.tif", lambda path, ids: tifffile.imwrite(path, ids.astype(np.float32)), "float32, but labels are whole"),
        (
            "a.tif",
            lambda path, ids: tifffile.imwrite(path, np.stack([ids] * 5), metadata={"axes": "CYX"}),
            "5 channels",
        ),
        ("a.tif", lambda path, ids: tifffile.imwrite(path, np.stack([ids] * 5), metadata={"axes": "ZYX"}), "Z (5)"),
        ("a.jpg", lambda path, ids: Image.fromarray(ids).save(path), "JPEG file"),
        ("a.png", lambda path, ids: path.write_bytes(b"no image"), "cannot be read"),
        ("a.tif", lambda path, ids: path.write_bytes(b"no image"), "cannot be read"),
        ("a.png", lambda path, ids: None, "no file"),
        ("a.tif", lambda path, ids: None, "no file"),
    ],
)
def test_files_that_hold_no_ids_are_sentences(name, write, sentence, tmp_path):
    ids = some_ids()
    write(tmp_path / name, ids)
    with pytest.raises(ImageError) as error:
        open_labels(tmp_path / name, THREE, ids.shape)
    assert sentence in str(error.value)


def test_a_png_that_is_cut_short_is_a_sentence(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(some_ids((400, 300))).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match="cannot be read as an image"):
        open_labels(path, THREE, (400, 300))


def test_names_lose_their_endings_alone():
    names = {"a.tif": "a", "a.ome.tif": "a", "a.OME.TIFF": "a", "a.b.png": "a.b", "a.ome.zarr": "a", "a.zarr": "a"}
    assert {name: stem_of(Path(name)) for name in names} == names
