"""What fine-tuning on a few corrections buys, and what it costs elsewhere: a simulated annotator on held-out images."""
