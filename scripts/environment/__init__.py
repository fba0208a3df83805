"""Makes ``.venv``: which locks, which build of torch, pip itself, progress, and what to do after a break."""
