"""Saving masks, and sessions."""
