"""What Nimbi is measured against: nginx, and a bare Starlette route on the same uvicorn."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from bench.processes import Server, free_port, running

# One worker on each side; files in the way that nginx's own manual recommends.
NGINX = """
daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 10000000;
    client_max_body_size 0;
    client_body_temp_path {place}/body;
    server {{
        listen 127.0.0.1:{port};
        location = /hello {{ return 200 '{{"hello": "world"}}'; }}
        location / {{ root {place}/files; dav_methods PUT; }}
    }}
}}
"""

STARLETTE = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def hello(request):
    return Response(b'{"hello": "world"}', media_type="application/json")

app = Starlette(routes=[Route("/hello", hello)])
uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False,
            log_level="error", server_header=False, ws="none")
"""


@contextmanager
def nginx(place: Path) -> Iterator[Server]:
    """Run nginx with /hello and, below /, files that may be read and put."""
    port = free_port()
    (place / "files").mkdir(parents=True)
    (place / "nginx.conf").write_text(NGINX.format(place=place, port=port))
    # Debian's worker runs as www-data when nginx is started by root; let it in.
    for directory in (place, place / "files"):
        directory.chmod(0o777)
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise SystemExit("nginx is missing (Debian: nginx-light)")
    with running([program, "-c", place / "nginx.conf", "-e", place / "error.log"], port) as server:
        yield server


@contextmanager
def starlette() -> Iterator[Server]:
    """Run one Starlette route that answers a constant."""
    port = free_port()
    with running([sys.executable, "-c", STARLETTE, str(port)], port) as server:
        yield server


@contextmanager
def nimbi(
    state: Path, driver: str = "mock", environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    """Run `nimbi serve` on a cloud, as it is by default, its log in a file."""
    port = free_port()
    program = Path(sys.executable).with_name("nimbi")
    flags = ["--driver", driver, "--host", "127.0.0.1", "--port", str(port)]
    state.mkdir(mode=0o700, exist_ok=True)
    with running(
        [program, "serve", *flags, "--log", state / "log"],
        port,
        {"NIMBI_STATE_DIR": str(state / "state"), **environment},
    ) as server:
        yield server
