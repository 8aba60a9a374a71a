"""Deformation network, segmenters, the lazy result and the model store.

Names are loaded when they are used: lists of models need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
