"""Client projects: from a brief to a reviewed, approved and published website."""
