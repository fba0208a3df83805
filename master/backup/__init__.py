"""Backups of a whole fleet in one file, whichever database it uses."""
