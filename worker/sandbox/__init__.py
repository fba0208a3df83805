"""Where given code runs: Docker, a fresh virtual environment, or a plain process (docs/sandbox.md)."""
