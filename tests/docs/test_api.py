"""The examples of docs/api.md run as they stand."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_examples_run(tmp_path):
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "api.md"),
        module_relative=False,
        globs={"folder": tmp_path},
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST,
        encoding="utf-8",
    )
    assert failed == 0 and tried > 15


def test_every_public_name_is_there_without_qt():
    code = (
        "import sys, napari_deformdown as nd\n"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'importing the package is instant'\n"
        "for name in nd.__all__: getattr(nd, name)\n"
        "banned = {'PyQt5', 'PyQt6', 'PySide6', 'qtpy', 'napari', 'magicgui'}\n"
        "sys.exit(', '.join(banned & {name.split('.')[0] for name in sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
