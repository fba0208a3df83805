"""What the master starts by the clock: schedules, and each time that one was due."""
