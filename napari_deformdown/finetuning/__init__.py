"""Fine-tuning on corrections: from the base model, with all corrections so far, unlabelled pixels held where they were.

Names are loaded when they are used: options and events need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
