"""The deterministic simulator: the real state machine under a virtual clock (docs/simulation.md)."""
