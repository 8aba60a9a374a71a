"""Fine-tuning from the panel: the run, the trial, its losses."""
