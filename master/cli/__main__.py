"""``python -m master.cli``: the ``d8`` command."""

from master.cli.main import main

main()
