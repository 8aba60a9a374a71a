# shellcheck shell=bash
# Sourced by demo.sh, test.sh and .ci/run: everything that has to be there before
# the plugin can run.  Public: `set_up EXTRAS [xvfb]`, $VENV, $ROOT.
#
# DEFORMDOWN_TORCH_INDEX  package index to take torch from; empty: the default index.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
STAMP=$VENV/deformdown-setup # what a finished set-up was made from
LOG=$VENV/deformdown-setup.log
CPU_TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Libraries that PyQt5's wheels and OpenGL load from the system, and the Debian
# packages that hold them (Ubuntu 24.04 and Debian 13 call some of them NAMEt64).
# Mesa's drivers and a font come with libgl1 and libfontconfig1.
LIBRARIES='
libGL.so.1 libgl1
libX11-xcb.so.1 libx11-xcb1
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
libgthread-2.0.so.0 libglib2.0-0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-image.so.0 libxcb-image0
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-randr.so.0 libxcb-randr0
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0 libxcb-shape0
libxcb-sync.so.1 libxcb-sync1
libxcb-util.so.1 libxcb-util1
libxcb-xfixes.so.0 libxcb-xfixes0
libxcb-xinerama.so.0 libxcb-xinerama0
libxcb-xkb.so.1 libxcb-xkb1
libxkbcommon-x11.so.0 libxkbcommon-x11-0
'

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 2
}

# Print the prefix that lets a command act as root, or fail.
root_prefix() {
  if [ "$(id -u)" -eq 0 ]; then
    echo env
  elif sudo -n true 2>/dev/null; then
    echo "sudo -n env"
  else
    return 1
  fi
}

# Install Debian packages, or end with the command to type.
apt_install() {
  local command="sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
  local prefix name output
  command -v apt-get >/dev/null ||
    die "System packages are missing: install what your system calls the Debian packages $*."
  prefix=$(root_prefix) || die "System packages are missing: run '$command' and start again."
  say "Installing system packages: $* ..."
  # One broken third-party source fails the update, yet the packages may be there.
  # shellcheck disable=SC2086 # the prefix is several words
  $prefix apt-get -o DPkg::Lock::Timeout=120 update </dev/null >/dev/null 2>&1 || true
  local names=()
  for name in "$@"; do
    if ! has_package "$name" && has_package "${name}t64"; then name=${name}t64; fi
    names+=("$name")
  done
  # shellcheck disable=SC2086
  output=$($prefix DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y \
    --no-install-recommends "${names[@]}" </dev/null 2>&1) || {
    say "$output"
    die "apt-get could not install the system packages: run '$command' and start again."
  }
}

has_package() { apt-cache show "$1" >/dev/null 2>&1; }

# Print the first Python that is new enough.
find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  local wanted="python3 python3-venv"
  if command -v python3 >/dev/null; then wanted="python3.11 python3.11-venv"; fi
  die "Python 3.11 or newer is needed: run 'sudo apt-get update && sudo apt-get install -y" \
    "$wanted' (or take it from https://www.python.org) and start again."
}

# Install, all at once, what the system lacks: for virtual environments, for Qt and
# OpenGL, and with `xvfb` for a virtual screen.
ensure_system_packages() { # PYTHON [xvfb]
  local python=$1 package packages=()
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
  fi
  if [ "$(uname -s)" = Linux ]; then
    if [ -n "${2-}" ] && ! has_virtual_screen; then packages+=(xvfb xauth); fi
    while read -r package; do packages+=("$package"); done < <(
      "$python" -I -S - "$LIBRARIES" <<'PYTHON'
import ctypes, sys
for library, package in map(str.split, sys.argv[1].split("\n")[1:-1]):
    try:
        ctypes.CDLL(library)
    except OSError:
        print(package)
PYTHON
    )
  fi
  if [ "${#packages[@]}" -gt 0 ]; then apt_install "${packages[@]}"; fi
}

# Only Linux needs one: elsewhere Qt always has a screen.
has_virtual_screen() {
  [ "$(uname -s)" != Linux ] ||
    { command -v Xvfb && command -v xvfb-run && command -v xauth; } >/dev/null
}

make_venv() { # PYTHON
  say "Creating the virtual environment .venv ..."
  "$1" -m venv --clear "$VENV" >&2 ||
    die "$1 could not create the virtual environment $VENV: see the message above."
}

# What a finished set-up depends on, except the extras, as one line.
setup_key() {
  "$VENV/bin/python" -I -S - "$ROOT" 2>/dev/null <<'PYTHON'
import hashlib, pathlib, sys
root = pathlib.Path(sys.argv[1])
digest = hashlib.sha256((root / "pyproject.toml").read_bytes()).hexdigest()
print(digest, sys.version.split()[0], root)
PYTHON
}

# Can pip install into .venv, and was it made where it lies now?
venv_works() { # KEY
  [ -n "$1" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 &&
    grep -qF -- "$VENV/bin/" "$VENV/bin/pip"
}

# Is the finished set-up up to date, with every one of these extras?
stamp_covers() { # KEY EXTRAS
  local key extras extra
  [ -f "$STAMP" ] && { read -r extras && read -r key; } <"$STAMP" && [ "$key" = "$1" ] || return 1
  for extra in ${2//,/ }; do
    case ",$extras," in *",$extra,"*) ;; *) return 1 ;; esac
  done
}

# A pip that was killed leaves packages that look installed and are not.  pip writes
# RECORD last, so what lacks one is forgotten here and pip installs it anew.
forget_unfinished() {
  local info
  for info in "$VENV"/lib/python3*/site-packages/*.dist-info; do
    if [ -d "$info" ] && [ ! -f "$info/RECORD" ]; then rm -rf -- "$info"; fi
  done
  rm -rf -- "$VENV"/lib/python3*/site-packages/~*
}

pip_install() {
  PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 \
    "$VENV/bin/python" -m pip install --progress-bar off "$@" </dev/null >>"$LOG" 2>&1
}

# torch for Linux brings gigabytes of CUDA libraries: where no GPU can use them,
# take the build without, if its index can be reached.
install_torch() {
  local index=${DEFORMDOWN_TORCH_INDEX-$CPU_TORCH_INDEX}
  if [ -z "$index" ] || compgen -G "$VENV/lib/python3*/site-packages/torch-*.dist-info" >/dev/null
  then
    return 0
  fi
  if [ -z "${DEFORMDOWN_TORCH_INDEX-}" ]; then
    case $(uname -sm) in "Linux x86_64" | "Linux aarch64") ;; *) return 0 ;; esac
    if [ -e /dev/nvidia0 ] || command -v nvidia-smi >/dev/null; then return 0; fi
    index_answers "$index" || return 0
    say "Installing torch for CPU (no NVIDIA GPU found) ..."
    pip_install --index-url "$index" torch torchvision || say "Taking the default torch instead ..."
  else
    say "Installing torch from $index ..."
    pip_install --index-url "$index" torch torchvision ||
      die "torch could not be installed from $index (see $LOG): correct DEFORMDOWN_TORCH_INDEX."
  fi
}

index_answers() {
  local probe=("$VENV/bin/python" -c 'import sys, urllib.request as r
r.urlopen(r.Request(sys.argv[1] + "/torch/", method="HEAD"), timeout=4)' "$1")
  if command -v timeout >/dev/null; then probe=(timeout 5 "${probe[@]}"); fi
  "${probe[@]}" >/dev/null 2>&1
}

install_plugin() { # EXTRAS
  : >"$LOG"
  forget_unfinished
  install_torch
  say "Installing napari-deformdown[$1] into .venv (once, a few minutes) ..."
  pip_install --editable "${ROOT}[$1]" || {
    grep -E '^(ERROR|error)' "$LOG" | tail -n 5 >&2 || true
    die "pip could not install napari-deformdown: see $LOG, check the network and start again."
  }
}

# End with a sentence if Qt lacks a library that LIBRARIES does not know.
check_qt() {
  local lack
  [ "$(uname -s)" = Linux ] || return 0
  lack=$("$VENV/bin/python" - 2>&1 <<'PYTHON'
import ctypes, pathlib
import PyQt5.QtDBus, PyQt5.QtOpenGL, PyQt5.QtSvg, PyQt5.QtWidgets
plugins = pathlib.Path(PyQt5.__file__).parent / "Qt5" / "plugins"
for plugin in "platforms/libqxcb.so", "xcbglintegrations/libqxcb-glx-integration.so":
    ctypes.CDLL(str(plugins / plugin))
PYTHON
  ) || die "Qt cannot open windows here, install what it lacks: ${lack##*$'\n'}."
}

# set_up EXTRAS [xvfb]: make $VENV ready, and a virtual screen if there is no other
# or if `xvfb` asks for it.  Does nothing where an earlier run has done it all.
set_up() {
  local extras=$1 screen=${2-} key ready python
  if [ -z "${DISPLAY-}${WAYLAND_DISPLAY-}" ]; then screen=xvfb; fi
  # Two set-ups at once would install into each other.
  if command -v flock >/dev/null; then
    exec 9<"$ROOT/scripts/_setup.sh"
    flock -n 9 || {
      say "Waiting for another set-up of this checkout to finish ..."
      flock 9
    }
  fi
  key=$(setup_key) || key=
  if stamp_covers "$key" "$extras"; then ready=yes; else ready=; fi
  if [ -z "$ready" ] || { [ -n "$screen" ] && ! has_virtual_screen; }; then
    python=$(find_python) || exit 2
    ensure_system_packages "$python" "$screen"
  fi
  if [ -z "$ready" ]; then
    if ! venv_works "$key"; then
      make_venv "$python"
      key=$(setup_key)
    fi
    rm -f -- "$STAMP"
    install_plugin "$extras"
    check_qt
    printf '%s\n%s\n' "$extras" "$key" >"$STAMP.new"
    mv -f -- "$STAMP.new" "$STAMP"
  fi
  if command -v flock >/dev/null; then exec 9<&-; fi
}
