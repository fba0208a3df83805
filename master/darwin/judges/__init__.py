"""How candidates are judged on the fleet: by examples, or by a program."""
