"""Many slides, on one machine or many: found, segmented one by one, resumed where a batch stopped.

Names are loaded when they are used: finding slides needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
