"""Training: data, scenes and views, losses, the joint training generator, and the choices of validation.

Names are loaded when they are used: options and plans need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
