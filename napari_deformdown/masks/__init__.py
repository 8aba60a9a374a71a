"""Masks and what goes with them, written in the formats that others read, and masks read back.

Names are loaded when they are used: lists of formats need no torch and no image library.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
