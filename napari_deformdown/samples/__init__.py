"""Sample images with exact ground truth; import the submodule that is needed.

``samples.blue_marble`` serves a world map with land/lake classes, and
``samples.synthetic_slide`` a lazily generated pathology slide of any size.
"""
