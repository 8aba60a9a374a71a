"""Versions of a model: kept, listed, brought back, exported and imported; safetensors and JSON, nothing executable.

Names are loaded when they are used: lists of versions need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
