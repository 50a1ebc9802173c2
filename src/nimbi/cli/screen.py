"""A terminal's whole screen, drawn anew each moment until somebody presses Ctrl-C."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence

# ECMA-48 and xterm's control sequences: its second screen without a cursor, and back.
ALTERNATE, NORMAL = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, REST, CLEAR_LINE = "\x1b[H", "\x1b[J", "\x1b[K"


def keep_shown(lines: Callable[[int], Sequence[str]], every_s: float) -> None:
    """Show lines, asked for anew each time with how many are seen, until Ctrl-C."""
    sys.stdout.write(ALTERNATE)
    try:
        while True:
            room = shutil.get_terminal_size().lines - 1
            shown = lines(room)[:room]
            sys.stdout.write(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in shown) + REST)
            sys.stdout.flush()
            time.sleep(every_s)
    except KeyboardInterrupt:
        return
    finally:
        sys.stdout.write(NORMAL)
        sys.stdout.flush()
