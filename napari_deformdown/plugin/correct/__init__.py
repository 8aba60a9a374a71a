"""The page for corrections: painting, keeping, importing, where to look next."""
