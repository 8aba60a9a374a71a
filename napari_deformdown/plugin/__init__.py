"""The napari plugin: the only room that imports napari, magicgui and qtpy."""
