"""What is wanted and what is computed of it: kept, live, and what it costs."""
