"""Sparse corrections of an image's labels: where somebody painted, how they win over a result, where to look next.

Names are loaded when they are used: painting and saving need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
