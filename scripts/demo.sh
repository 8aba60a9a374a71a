#!/usr/bin/env bash
# bash scripts/demo.sh [--sample NAME] [--output DIR]
# Sets everything up (once) and opens napari on a sample with everything computed.
set -euo pipefail
# shellcheck source=scripts/_setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/_setup.sh"
set_up all
exec "$VENV/bin/napari-deformdown" demo "$@"
