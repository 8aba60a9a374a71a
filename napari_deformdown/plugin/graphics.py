"""torch beside software OpenGL, in one process."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

__all__ = ["load_triton_beside_opengl"]


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
