from .imaging import Pyramid as Pyramid
from .imaging import open_image as open_image
from .network import DeformedSegmenter as DeformedSegmenter
from .network import Segmentation as Segmentation
from .network import list_models as list_models
from .network import load_model as load_model
from .network import segment as segment

__version__: str
