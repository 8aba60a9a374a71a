"""Learnt downsampling for segmenting ultra-high-resolution images, with a napari plugin.

import napari_deformdown as nd

image = nd.open_image("slide.tif")
model = nd.load_model("synthetic-slide")
result = nd.segment(image, model, budget=(128, 256))
result.density, result.points
result.save("mask.tif")
"""

import lazy_loader

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
