"""Whether something listens on this machine, and answers."""

import socket
import urllib.error
import urllib.request


def is_open(port: int) -> bool:
    """Return whether somebody listens at a port."""
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def speaks(port: int, path: str = "/") -> bool:
    """Return whether an HTTP server answers; what it says does not matter, save that it fails."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://127.0.0.1:{port}{path}", timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True
