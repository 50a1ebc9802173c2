"""Where the command `nimbi` begins: help and version come before anything is loaded."""

import os
import sys


def run() -> None:
    """Run the command with the arguments of this process."""
    told = sys.argv[1:]
    # A shell that completes a command asks by a variable, and with no arguments.
    if "_NIMBI_COMPLETE" not in os.environ:
        if told in (["--help"], ["-h"]):
            from nimbi.cli.parts import help_text

            sys.stdout.write(help_text() + "\n")
            return
        if told == ["--version"]:
            from importlib.metadata import version

            sys.stdout.write(f"nimbi {version('nimbi')}\n")
            return
    from nimbi.cli.main import main

    main()
