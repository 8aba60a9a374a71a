"""What is shipped: the wheel's contents and metadata, the manifest, and a core free of Qt."""

import email
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
QT_BINDINGS = {"pyqt5", "pyqt6", "pyside2", "pyside6"}
CORE_ROOMS = ["geometry", "imaging", "network", "masks"]


def build(kind: str, source: Path, target: Path) -> Path:
    """Build the ``sdist`` or ``wheel`` of a source tree and return the archive's path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = target.iterdir()
    return archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module", params=["from checkout", "from sdist"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = ROOT
    if request.param == "from sdist":
        unpacked = tmp_path_factory.mktemp("unpacked")
        shutil.unpack_archive(request.getfixturevalue("sdist"), unpacked)
        (source,) = unpacked.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def shipped_files() -> dict[str, Path]:
    """Name in the wheel of everything beside the code that has to be in it."""
    models = (path for path in (ROOT / "models").rglob("*") if path.is_file())
    return {f"napari_deformdown/{path.relative_to(ROOT).as_posix()}": path for path in [ROOT / "napari.yaml", *models]}


def test_wheel_holds_manifest_and_models_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = Counter(archive.namelist())
        for name, path in shipped_files().items():
            assert names[name] == 1, name
            assert archive.read(name) == path.read_bytes(), name
    assert max(names.values()) == 1
    models = sorted(n for n in names if "models" in PurePosixPath(n).parts)
    assert models == sorted(n for n in shipped_files() if "/models/" in n)
    assert sum(n.endswith("napari.yaml") for n in names) == 1


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = archive.infolist()
    tops = {PurePosixPath(file.filename).parts[0] for file in files}
    assert {re.sub(r"-.*(?=\.dist-info)", "", top) for top in tops} == {
        "napari_deformdown",
        "napari_deformdown.dist-info",
    }
    assert "napari_deformdown/py.typed" in {file.filename for file in files}
    assert not [file.filename for file in files if file.filename.endswith(".pyc")]
    assert not [file.filename for file in files if file.file_size > 15e6]


def test_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "napari-deformdown"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Framework :: napari" in metadata.get_all("Classifier", [])


def test_core_requires_neither_qt_nor_napari(metadata: Message) -> None:
    core = {
        re.match(r"[\w.-]+", requirement).group().lower()
        for requirement in metadata.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    }
    assert "torch" in core
    assert not core & (QT_BINDINGS | {"qtpy", "napari", "magicgui", "superqt"})


def test_napari_extra_requires_no_qt_binding(metadata: Message) -> None:
    extra = [r for r in metadata.get_all("Requires-Dist", []) if re.search("extra == .napari", r)]
    assert extra
    assert not [r for r in extra if re.match(r"[\w.-]+", r).group().lower() in QT_BINDINGS]


def test_sdist_holds_no_second_copy(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    paths = [str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in members]
    assert "napari.yaml" in paths
    assert not [p for p in paths if re.match(r"napari_deformdown/(models|napari\.yaml)", p)]
    assert not [m.name for m in members if m.issym() or m.islnk()]


@pytest.mark.parametrize("room", CORE_ROOMS)
def test_core_imports_without_qt(room: str) -> None:
    module = f"napari_deformdown.{room}"
    if not (ROOT / "napari_deformdown" / room / "__init__.py").exists():
        pytest.skip(f"{module} does not exist yet")
    code = (
        f"import sys, {module}\n"
        "banned = {'PyQt5', 'PyQt6', 'PySide2', 'PySide6', 'qtpy', 'napari', 'magicgui'}\n"
        "sys.exit(', '.join(banned & {name.split('.')[0] for name in sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{module} loads {done.stderr}"


def test_manifest_is_valid() -> None:
    from npe2 import PluginManifest
    from npe2.cli import app
    from typer.testing import CliRunner

    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    assert manifest.name == "napari-deformdown"
    manifest.validate_imports()
    result = CliRunner().invoke(app, ["validate", str(ROOT / "napari.yaml")])
    assert result.exit_code == 0, result.output


def test_installed_package_finds_manifest_and_models() -> None:
    spec = importlib.util.find_spec("napari_deformdown")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    assert (package / "napari.yaml").read_bytes() == (ROOT / "napari.yaml").read_bytes()
    assert (package / "models").is_dir()
