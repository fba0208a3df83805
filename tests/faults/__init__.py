"""The fault suite: a real fleet in network namespaces, and what goes wrong with it (docs/faults.md)."""
