"""Images of any size, read lazily and within a budget.

Names are loaded when they are used: opening an image needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
