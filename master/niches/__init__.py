"""Niche studies: keyword exports in, ranked niches with their reasons out."""

from master.niches import flow, tables

__all__ = ["flow", "tables"]
