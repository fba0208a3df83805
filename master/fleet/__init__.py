"""The workers: joining, heartbeats, the version gate."""
