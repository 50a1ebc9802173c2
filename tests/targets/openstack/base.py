"""What the services stand on: the database, the broker, the cache, and their schemas."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from tests.targets.openstack.configuration import (
    DATABASES,
    ETC,
    SOCKET,
    database_url,
    stamp,
    stamped,
)
from tests.targets.openstack.knocking import is_open
from tests.targets.openstack.processes import Failed, Processes
from tests.targets.openstack.settings import KEYSTONE as URL
from tests.targets.openstack.settings import LOG, PASSWORD, PORTS, REGION, STATE

NOVA = f"--config-file {ETC}/nova/nova.conf --config-file {ETC}/nova/db.conf"
NEUTRON = f"--config-file {ETC}/neutron/neutron.conf --config-file {ETC}/neutron/ml2.ini"

_KEYSTONE = f"keystone-manage --config-file {ETC}/keystone/keystone.conf"
_GLANCE = f"glance-manage --config-file {ETC}/glance/glance-api.conf"
_AS_ROOT = "--keystone-user root --keystone-group root"
_FACES = " ".join(f"--bootstrap-{face}-url {URL}" for face in ("public", "internal", "admin"))

# What makes or brings up to date each service's tables: the services' own programs.
SCHEMAS: dict[str, tuple[str, ...]] = {
    "keystone": (
        f"{_KEYSTONE} fernet_setup {_AS_ROOT}",
        f"{_KEYSTONE} credential_setup {_AS_ROOT}",
        f"{_KEYSTONE} db_sync",
        f"{_KEYSTONE} bootstrap --bootstrap-password {PASSWORD}"
        f" --bootstrap-region-id {REGION} {_FACES}",
    ),
    "glance": (f"{_GLANCE} db_sync", f"{_GLANCE} db_load_metadefs"),
    "neutron": (f"neutron-db-manage {NEUTRON} upgrade heads",),
    "nova": (
        f"nova-manage {NOVA} api_db sync",
        f"nova-manage {NOVA} cell_v2 map_cell0 --database_connection {database_url('nova_cell0')}",
        f"nova-manage {NOVA} db sync",
        f"nova-manage {NOVA} cell_v2 create_cell --name cell1",
    ),
    "placement": (f"placement-manage --config-file {ETC}/placement/placement.conf db sync",),
    "cinder": (f"cinder-manage --config-file {ETC}/cinder/cinder.conf db sync",),
}

RABBIT = {
    "HOME": f"{STATE}/rabbit",
    "ERL_EPMD_PORT": str(PORTS["epmd"]),
    "RABBITMQ_NODENAME": "osreal@localhost",
    "RABBITMQ_CONFIG_FILE": f"{ETC}/rabbit/rabbitmq",
    "RABBITMQ_ENABLED_PLUGINS_FILE": f"{ETC}/rabbit/enabled_plugins",
    "RABBITMQ_MNESIA_BASE": f"{STATE}/rabbit/mnesia",
    "RABBITMQ_LOG_BASE": f"{STATE}/rabbit/log",
    "RABBITMQ_LOGS": "-",
    "RABBITMQ_PID_FILE": f"{STATE}/rabbit/pid",
    "RABBITMQ_DIST_PORT": str(PORTS["erlang"]),
    "RABBITMQ_CONF_ENV_FILE": f"{ETC}/rabbit/none",
    # Its schedulers would turn and wait on all cores otherwise.
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
        "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
    ),
}


def start(processes: Processes) -> None:
    """Start the database, the broker and the cache; return when the database answers."""
    if not stamped("mysql"):
        shutil.rmtree(SOCKET.parent, ignore_errors=True)
        SOCKET.parent.mkdir()
        shutil.chown(SOCKET.parent, "mysql")
        install = ["mariadb-install-db", f"--defaults-file={ETC}/mysql.cnf", "--user=mysql"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run("mysql", install, processes)
        stamp("mysql")
    processes.start("mariadb", ["/usr/sbin/mariadbd", f"--defaults-file={ETC}/mysql.cnf"])
    address = ["-l", "127.0.0.1", "-p", str(PORTS["memcached"]), "-U", "0"]
    processes.start("memcached", ["/usr/bin/memcached", "-u", "nobody", *address, "-m", "64"])
    epmd = ["/usr/bin/epmd", "-address", "127.0.0.1", "-port", str(PORTS["epmd"])]
    processes.start("epmd", epmd)
    processes.start("rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], RABBIT)
    processes.wait_for("mariadb", answers, 60)
    if not stamped("databases"):
        sql("".join(map(_grant, DATABASES)))
        stamp("databases")


def await_broker(processes: Processes) -> None:
    processes.wait_for("rabbitmq", partial(is_open, PORTS["rabbit"]), 90)


@contextmanager
def syncing(processes: Processes, *services: str) -> Iterator[None]:
    """Make the tables of some services, at the same time, while the block runs."""
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(sync, processes, service) for service in services]
        yield
        for one in done:
            one.result()


def sync(processes: Processes, service: str) -> None:
    """Make the tables of a service, once for a state."""
    if not stamped(f"schema-{service}"):
        for command in SCHEMAS[service]:
            run(f"schema-{service}", command.split(), processes)
        stamp(f"schema-{service}")


def run(name: str, command: Sequence[str], processes: Processes) -> None:
    """Run a program to its end. Raises Failed with the end of what it printed."""
    log = LOG / f"{name}.log"
    with log.open("ab") as out:
        done = subprocess.run(command, env=processes.environment, stdout=out, stderr=out)
    if done.returncode:
        end = log.read_text(errors="replace")[-4000:]
        raise Failed(f"{command[0]} ended with {done.returncode}; its log ends so:\n{end}")


def sql(statements: str) -> str:
    """Run statements as the database's root, and return rows as lines with tabs."""
    command = ["mariadb", "--no-defaults", "-S", str(SOCKET), "-u", "root", "-N"]
    done = subprocess.run(command, input=statements, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"the database says: {done.stderr}")
    return done.stdout


def answers() -> bool:
    """Return whether the database takes statements."""
    try:
        sql("select 1")
    except Failed:
        return False
    return True


def _grant(database: str) -> str:
    user = f"'{DATABASES[database]}'@'localhost'"
    return (
        f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8;"
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{PASSWORD}';"
        f"GRANT ALL ON {database}.* TO {user};"
    )
