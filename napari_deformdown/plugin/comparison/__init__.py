"""The comparison's layers: cells side by side in napari's grid."""
