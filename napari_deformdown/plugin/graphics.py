"""torch beside software OpenGL, in one process."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from pathlib import Path

__all__ = ["load_torch_aside", "load_triton_beside_opengl"]


def load_triton_beside_opengl() -> None:
    """Load triton's library so that it keeps to its own copy of LLVM.

    torchvision loads triton where torch brings it along (Linux). Mesa's software renderer loads another LLVM, with its
    symbols open to all; triton's library, if loaded later, binds to those and the process dies of a segmentation fault.
    RTLD_DEEPBIND makes it prefer its own symbols.
    """
    if not hasattr(os, "RTLD_DEEPBIND") or "triton" in sys.modules or importlib.util.find_spec("triton") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        importlib.import_module("triton")
    except ImportError:
        # torch does without it just as well
        pass
    finally:
        sys.setdlopenflags(flags)


def load_torch_aside() -> None:
    """Load torch's largest library without Python waiting for it: `import torch` stops every thread for a second.

    A plain import follows; it finds the library loaded, or loads it as ever where this way is not there.
    """
    if not sys.platform.startswith("linux") or "torch" in sys.modules:
        return
    found = importlib.util.find_spec("torch")
    library = Path(found.origin).parent / "lib" / "libtorch_cpu.so" if found is not None and found.origin else None
    if library is None or not library.is_file():
        return
    # A foreign function runs without Python's lock, unlike ctypes.CDLL(library).
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    load(os.fsencode(library), os.RTLD_NOW | os.RTLD_LOCAL)
