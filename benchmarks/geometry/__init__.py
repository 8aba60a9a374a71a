"""The geometry measured: warps, restoring, reading, showing and exporting, as ratios within one run."""
