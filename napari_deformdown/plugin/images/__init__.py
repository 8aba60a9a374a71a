"""Open layers as images that a model reads: where they lie, which plane is shown, what tells them apart."""
