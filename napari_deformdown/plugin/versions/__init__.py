"""The page of versions, and all models that the panel offers."""
