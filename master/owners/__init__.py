"""The people who own the fleet: their accounts, their passwords, their sessions at the dashboard."""
