#!/usr/bin/env bash
# bash scripts/test.sh [pytest arguments]
# Sets everything up (once) and runs the tests on virtual screens, two files at a time.
set -euo pipefail
# shellcheck source=scripts/_setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/_setup.sh"
set_up all,test xvfb
cd -- "$ROOT"
# pytest rewrites hundreds of napari's modules: once for all of its processes, where bytecode may be kept.
exec env PYTHONDONTWRITEBYTECODE= "$VENV/bin/python" -m pytest --numprocesses 2 --dist loadfile "$@"
