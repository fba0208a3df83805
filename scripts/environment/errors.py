"""The errors of this package.

EnvironmentFailure      the environment cannot be made
  NothingChanged        and what was there is as it was
"""

from __future__ import annotations


class EnvironmentFailure(Exception):
    """The environment cannot be made. ``str(error)`` is one paragraph with the remedy."""


class NothingChanged(EnvironmentFailure):
    """pip failed while it still looked and downloaded: what is installed is as it was."""
