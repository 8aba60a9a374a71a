"""What a person feels in napari: how soon things are on the screen, and how long the window stands still."""
