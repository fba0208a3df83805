"""Steps and their way: ready, queued with a ticket, claimed, ended. The core of D8."""
