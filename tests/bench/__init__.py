"""Measurements, not tests: nothing fails by the clock. Run with ``scripts/bench NAME``."""
