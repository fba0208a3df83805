"""``d8 completion``: what a shell needs to complete d8's commands."""

from __future__ import annotations

import enum
import sys
from typing import Annotated

import typer

app = typer.Typer()


class Shell(enum.StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print a shell's completion: 'source <(d8 completion bash)', or into the folder where it looks for them."""
    from typer._completion_shared import get_completion_script

    from master.cli.main import VARIABLE

    sys.stdout.write(get_completion_script(prog_name="d8", complete_var=VARIABLE, shell=shell) + "\n")
