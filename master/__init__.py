"""Runs on the Pi: decides and remembers."""
