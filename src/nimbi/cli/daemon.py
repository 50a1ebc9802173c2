"""Leaves the terminal: a background process with a log file, a pid file and a lesser user."""

import atexit
import grp
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LESSER_USER = "nobody"


class DaemonError(Exception):
    """The server cannot go to the background; the text says why."""


@dataclass(frozen=True)
class Daemon:
    """A background process to be: who it runs as, where it logs and writes its process id."""

    uid: int
    gid: int
    user: str
    log_file: Path
    pid_file: Path

    def check(self) -> None:
        """Make the log file and look at the pid file. Raises DaemonError."""
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640))
            self.give(self.log_file)
        except OSError as error:
            raise DaemonError(f"{self.log_file}: cannot log there: {error.strerror}") from error
        running = self._running()
        if running is not None:
            raise DaemonError(f"{self.pid_file}: already running with process id {running}")

    def give(self, path: Path) -> None:
        """Make a file or directory the daemon's own."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    def detach(self) -> None:
        """Go on in the background; the process in the foreground exits with status 0.

        It exits when the pid file is written. Raises DaemonError in the foreground when that
        cannot be.
        """
        try:
            pid_fd = os.open(self.pid_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise DaemonError(f"{self.pid_file}: cannot be written: {error.strerror}") from error
        done = self._leave_terminal()
        os.write(pid_fd, f"{os.getpid()}\n".encode())
        os.close(pid_fd)
        self.give(self.pid_file)
        os.close(done)
        self._redirect()
        if os.geteuid() == 0:
            os.initgroups(self.user, self.gid)
            os.setgid(self.gid)
            os.setuid(self.uid)
        atexit.register(self._forget)

    def _leave_terminal(self) -> int:
        """Return, in the daemon, what to close for the foreground to end."""
        wait, done = os.pipe()
        # Twice, so that the daemon leads no session and can never get a terminal again.
        if os.fork():
            os.close(done)
            os.read(wait, 1)
            os._exit(0)
        os.close(wait)
        os.setsid()
        if os.fork():
            os._exit(0)
        return done

    def _redirect(self) -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(self.log_file, os.O_WRONLY | os.O_APPEND)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(null)
        os.close(log)

    def _running(self) -> int | None:
        try:
            number = int(self.pid_file.read_text())
            os.kill(number, 0)
        except (OSError, ValueError, OverflowError):
            return None
        return number

    def _forget(self) -> None:
        with suppress(OSError):
            self.pid_file.unlink()


def ids(user: str | None, group: str | None) -> tuple[int, int, str]:
    """Return the ids to run as, and the user's name. Only root can become someone else.

    Raises DaemonError.
    """
    if os.geteuid() != 0:
        if user or group:
            raise DaemonError("only root can run the server as another user or group")
        return os.geteuid(), os.getegid(), ""
    try:
        entry = pwd.getpwnam(user or LESSER_USER)
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError as error:
        raise DaemonError(f"no such user or group: {error.args[0]}") from error
    return entry.pw_uid, gid, entry.pw_name
