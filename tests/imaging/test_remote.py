"""Images at URLs, served by a real HTTP server that counts what it sends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
pytest.importorskip("benchmarks.range_server", reason="benchmarks/ is not part of the source archive")

from benchmarks.range_server import RangeServer  # noqa: E402
from napari_deformdown.geometry import UniformWarp  # noqa: E402
from napari_deformdown.imaging import ImageError, Pyramid, open_image, sample  # noqa: E402
from napari_deformdown.imaging import remote_file as module  # noqa: E402
from napari_deformdown.imaging.remote_file import RemoteFile, remote_identity  # noqa: E402
from napari_deformdown.imaging.urls import file_name, is_url, local_path, recorded  # noqa: E402


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(module, "_RETRIES", (0.0, 0.0))


@pytest.fixture
def server(tmp_path) -> Iterator[RangeServer]:
    with RangeServer(tmp_path) as found:
        yield found


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def write_slide(path: Path, image: np.ndarray, levels: int = 4, **options: object) -> None:
    """A tiled pyramidal TIFF whose levels are every other pixel of the one before."""
    given = {"tile": (128, 128), "compression": "adobe_deflate", "photometric": "rgb", **options}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for k in range(levels):
            kind = {"subfiletype": 1} if k else {"subifds": levels - 1}
            tiff.write(np.ascontiguousarray(image[:: 2**k, :: 2**k]), **kind, **given)


def pixels(pyramid: Pyramid) -> np.ndarray:
    return pyramid.levels[0].read(0, pyramid.shape[0], 0, pyramid.shape[1])


def test_addresses_are_told_from_paths() -> None:
    assert is_url("http://host/a.tif") and is_url("s3://bucket/a.tif") and is_url("simplecache::s3://b/a.tif")
    assert not is_url("slide.tif") and not is_url("C:\\slides\\a.tif") and not is_url(Path("a")) and not is_url("a:b")
    assert file_name("https://host/x/a%20b.ome.tif?token=1/2") == "a b.ome.tif"
    assert recorded("https://me:secret@host:80/x/a.tif?token=1/2#p") == "https://host:80/x/a.tif"
    assert recorded("zip://a.tif::https://me:secret@host/x.zip") == "zip://a.tif::https://host/x.zip"
    assert recorded(Path("slides") / "a#1.tif") == str(Path("slides") / "a#1.tif")
    assert local_path("file:///data/a%20b.tif") == Path("/data/a b.tif") and local_path("s3://b/a.tif") is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": None},
        {"compression": "jpeg"},
        {"planarconfig": "separate"},
        {"tile": None, "rowsperstrip": 32},
        {"tile": None, "compression": None},
    ],
    ids=str,
)
def test_a_tiff_at_a_url_is_the_tiff_on_disk(server, tmp_path, options) -> None:
    image = noise(300, 420, 3)
    stored = np.ascontiguousarray(np.moveaxis(image, -1, 0)) if "planarconfig" in options else image
    path = tmp_path / "a.tif"
    if "planarconfig" in options:
        tifffile.imwrite(path, stored, photometric="rgb", tile=(64, 64), **options)
    else:
        write_slide(path, image, 2, **options)
    with open_image(path) as local, open_image(f"{server.url}/a.tif") as remote:
        assert remote.shape == local.shape and remote.name == "a" and remote.path is None
        assert remote.levels[0].remote and not local.levels[0].remote
        for mine, other in zip(remote.levels, local.levels, strict=True):
            box = (13, other.shape[0] - 5, 40, other.shape[1] - 1)
            np.testing.assert_array_equal(mine.read(*box), other.read(*box))


def test_sampling_over_a_network_gives_the_same_image_from_few_bytes_and_requests(server, tmp_path) -> None:
    write_slide(tmp_path / "a.tif", noise(4096, 4096, 3), 5)
    size = (tmp_path / "a.tif").stat().st_size
    with open_image(tmp_path / "a.tif") as local:
        expected, reading = sample(local, UniformWarp(), (192, 256))
    with open_image(f"{server.url}/a.tif") as remote:
        opened = server.sent
        assert opened < 1_000_000
        server.forget()
        found, read = sample(remote, UniformWarp(), (192, 256))
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        assert (read.chunks, read.bytes) == (reading.chunks, reading.bytes)
        # noise does not shrink: what was decoded is what had to come, in far fewer requests than tiles
        assert read.bytes < opened + server.sent < 1.1 * read.bytes + 600_000
        assert server.sent < size / 5
        assert len(server.requests) < read.chunks / 4
        server.forget()
        sample(remote, UniformWarp(), (192, 256))
        assert server.sent == 0  # it was kept


def test_a_plane_of_a_stack_fetches_its_own_tiles_together(server, tmp_path) -> None:
    stack = noise(5, 2, 512, 512)
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(
        path, stack, metadata={"axes": "ZCYX"}, tile=(64, 64), photometric="minisblack", compression="zlib"
    )
    with open_image(f"{server.url}/stack.ome.tif", at={"Z": 3}, channels=[1]) as remote:
        server.forget()
        np.testing.assert_array_equal(pixels(remote)[..., 0], stack[3, 1])
        assert server.sent < 1.2 * 512 * 512 and len(server.requests) < 10


def test_an_ome_zarr_at_a_url_is_read_where_it_is_looked_at(server, tmp_path) -> None:
    image = noise(1024, 1024)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="w", zarr_format=2)
    datasets = []
    for k in range(3):
        level = np.ascontiguousarray(image[:: 2**k, :: 2**k])
        group.create_array(str(k), data=level, chunks=(128, 128))
        datasets.append({"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": [2.0**k] * 2}]})
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    with open_image(f"{server.url}/a.ome.zarr") as remote:
        assert remote.shape == (1024, 1024) and remote.pixel_size == (1.0, 1.0) and remote.name == "a"
        assert remote.levels[0].remote
        server.forget()
        np.testing.assert_array_equal(remote.levels[0].read(100, 300, 700, 800)[..., 0], image[100:300, 700:800])
        assert server.sent < 6 * 128 * 128 * 1.2
        with open_image(tmp_path / "a.ome.zarr") as local:
            expected = sample(local, UniformWarp(), (16, 16))[0]
        np.testing.assert_array_equal(sample(remote, UniformWarp(), (16, 16))[0].numpy(), expected.numpy())


def test_a_file_without_an_ending_is_known_by_its_beginning(server, tmp_path) -> None:
    write_slide(tmp_path / "a.tif", noise(256, 256, 3), 1)
    (tmp_path / "a.tif").rename(tmp_path / "download")
    with open_image(f"{server.url}/download?name=a&token=x/y") as remote:
        assert remote.shape == (256, 256) and remote.name == "download"


def test_a_file_url_is_a_path(tmp_path) -> None:
    write_slide(tmp_path / "a b.tif", noise(64, 64, 3), 1)
    with open_image((tmp_path / "a b.tif").as_uri()) as found:
        assert found.path == tmp_path / "a b.tif"


def test_failures_that_pass_are_tried_again(server, tmp_path) -> None:
    write_slide(tmp_path / "a.tif", noise(256, 256, 3), 1)
    with open_image(f"{server.url}/a.tif") as remote:
        server.fail = 2
        np.testing.assert_array_equal(pixels(remote), noise(256, 256, 3))
        server.fail = 10**6
        with pytest.raises(ImageError, match="503"):
            remote.levels[0].array.ahead([(slice(0, 1), slice(0, 1), slice(0, 3))])
            module.RemoteFile.piece(remote.levels[0].array._file._remote, 5, 5)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("{}/missing.tif", "There is no file"),
        ("{}/missing.zarr", "zarr"),
        ("{}/a.png", "Download it first"),
        ("{}/notes.txt", "neither TIFF nor zarr"),
        ("{}/broken.tif", "cannot be read as a TIFF"),
        ("http://127.0.0.1:1/a.tif", "cannot be reached"),
        ("abacus://host/a.tif", "abacus"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(server, tmp_path, url, sentence) -> None:
    (tmp_path / "notes.txt").write_text("nothing " * 100)
    (tmp_path / "broken.tif").write_text("nothing " * 100)
    with pytest.raises(ImageError, match=sentence) as caught:
        open_image(url.format(server.url))
    assert len(str(caught.value).splitlines()) == 1


def test_a_server_without_ranges_is_refused_before_it_sends_everything(tmp_path) -> None:
    write_slide(tmp_path / "a.tif", noise(2048, 2048, 3), 1)
    with RangeServer(tmp_path, ranges=False) as server:
        with pytest.raises(ImageError, match="parts of files"):
            open_image(f"{server.url}/a.tif")
        assert server.sent < 5_000_000


def test_missing_libraries_are_named_with_the_command(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(ImageError, match=r'pip install "napari-deformdown\[remote\]"'):
        open_image("s3://bucket/a.tif")


@pytest.mark.parametrize("tagged", [True, False])
def test_a_changed_file_has_another_identity(server, tmp_path, tagged) -> None:
    server.tagged = tagged
    path = tmp_path / "a.tif"
    write_slide(path, noise(64, 64, 3), 1)
    first = remote_identity(f"{server.url}/a.tif")
    assert remote_identity(f"{server.url}/a.tif?signature=2") == first
    file = RemoteFile(f"{server.url}/a.tif")
    identity = file.identity_of()
    assert identity(1) == identity(1) != identity(2)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert identity(1) is None and remote_identity(f"{server.url}/a.tif") != first
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.piece(0, 4)


def test_a_flat_remote_image_gets_a_pyramid_once(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_deformdown.imaging.completing.IN_MEMORY", 100_000)
    monkeypatch.setattr("napari_deformdown.imaging.pyramid_cache.cache_folder", lambda: tmp_path / "cache")
    image = noise(1500, 1200, 3)
    tifffile.imwrite(tmp_path / "flat.tif", image, photometric="rgb", rowsperstrip=16, compression="zlib")
    with open_image(f"{server.url}/flat.tif") as first:
        expected = [level.read(0, *level.shape[:1], 0, level.shape[1]) for level in first.levels]
    np.testing.assert_array_equal(expected[0], image)
    server.forget()
    with open_image(f"{server.url}/flat.tif") as again:
        for level, pixels_ in zip(again.levels[1:], expected[1:], strict=True):
            np.testing.assert_array_equal(level.read(0, level.shape[0], 0, level.shape[1]), pixels_)
    assert server.sent < 1_000_000


def test_pieces_come_merged_and_in_bounds(server, tmp_path, monkeypatch) -> None:
    data = noise(1_000_000).tobytes()
    (tmp_path / "a.bin").write_bytes(data)
    file = RemoteFile(f"{server.url}/a.bin")
    monkeypatch.setattr(module, "_KEPT", 30_000)
    server.forget()
    wanted = [(100, 50), (200, 5000), (5200, 10_000), (900_000, 100), (999_990, 10)]
    file.ahead([*reversed(wanted), *wanted])
    assert len(server.requests) == 3
    assert sum(size for _, size in server.requests) == 15_200 - 100 + 100 + 10
    assert all(file.piece(*p) == data[p[0] : sum(p)] for p in wanted)
    assert len(server.requests) == 3
    file.ahead([(k * 50_000, 20_000) for k in range(5)])  # one fits
    assert len(server.requests) == 4 and file._kept_bytes <= 30_000
    assert file.piece(300_000, 7) == data[300_000:300_007]
    file.close()


def test_any_file_system_of_fsspec_serves(tmp_path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    image = noise(300, 420, 3)
    write_slide(tmp_path / "a.tif", image, 2)
    memory.pipe_file("/deformdown-remote/a.tif", (tmp_path / "a.tif").read_bytes())
    try:
        with open_image("memory://deformdown-remote/a.tif") as remote:
            np.testing.assert_array_equal(pixels(remote), image)
        assert remote_identity("memory://deformdown-remote/a.tif") == remote_identity(
            "memory://deformdown-remote/a.tif"
        )
        with pytest.raises(ImageError, match="is a folder"):
            remote_identity("memory://deformdown-remote")
    finally:
        memory.rm("/deformdown-remote", recursive=True)


def test_the_test_s_own_server_has_counted_what_has_come(server, tmp_path) -> None:
    from urllib.request import urlopen

    (tmp_path / "a.bin").write_bytes(b"x" * 70_000)
    for k in range(100):
        with urlopen(f"{server.url}/a.bin") as answer:
            assert len(answer.read()) == 70_000
        assert server.requests == [("a.bin", 70_000)] * (k + 1)
