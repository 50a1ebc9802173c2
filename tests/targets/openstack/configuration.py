"""The services' configuration: templates of `conf/`, filled in."""

from pathlib import Path
from string import Template

from tests.targets.openstack.settings import HOST, KEYSTONE, PASSWORD, PORTS, REGION, STATE

TEMPLATES = Path(__file__).parent / "conf"
ETC = STATE / "etc"
SOCKET = STATE / "mysql" / "s.sock"

# Databases, and who owns each.
DATABASES = {
    "keystone": "keystone",
    "glance": "glance",
    "placement": "placement",
    "nova": "nova",
    "nova_api": "nova",
    "nova_cell0": "nova",
    "neutron": "neutron",
    "cinder": "cinder",
}
SERVICES = ("keystone", "glance", "placement", "nova", "neutron", "cinder", "swift")
STORES = ("account", "container", "object")

DIRECTORIES = (
    *(f"{service}/lock" for service in SERVICES),
    *(f"glance/{name}" for name in ("images", "staging", "tasks", "cache")),
    *(f"nova/{name}" for name in ("instances", "mnt")),
    *(f"cinder/{name}" for name in ("export", "mnt", "conversion", "coordination")),
    *(f"swift/{name}" for name in ("srv/d1", "cache")),
    *(f"libvirt/{name}" for name in ("etc", "run", "lib", "log", "cache")),
    *("etc", "log", "run", "bin", "stamp", "rabbit/log"),
)


def database_url(name: str) -> str:
    """Return where a service finds a database, as SQLAlchemy takes it."""
    login = f"{DATABASES[name]}:{PASSWORD}"
    return f"mysql+pymysql://{login}@localhost/{name}?unix_socket={SOCKET}&charset=utf8"


def write() -> None:
    """Make all directories and write all files anew."""
    for directory in DIRECTORIES:
        (STATE / directory).mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o755)
    ETC.chmod(0o711)  # the database's user must be able to pass
    words = _words()
    for template in TEMPLATES.rglob("*.*"):
        if template.name != "storage.conf":
            _write(template.relative_to(TEMPLATES), _filled(template, words))
    for kind in STORES:
        own = words | {"kind": kind, "port": str(PORTS[kind])}
        _write(Path(f"swift/{kind}.conf"), _filled(TEMPLATES / "swift" / "storage.conf", own))
    _write(Path("cinder/shares"), "127.0.0.1:/cinder\n")
    _write(Path("rabbit/enabled_plugins"), "[].\n")
    _write_logins()


def _words() -> dict[str, str]:
    words = {
        "state": str(STATE),
        "etc": str(ETC),
        "socket": str(SOCKET),
        "keystone": KEYSTONE.removesuffix("/v3"),
        "broker": f"rabbit://openstack:{PASSWORD}@127.0.0.1:{PORTS['rabbit']}/",
        "password": PASSWORD,
        "region": REGION,
        "host": HOST,
    }
    words |= {f"port_{name}": str(port) for name, port in PORTS.items()}
    words |= {f"database_{name}": database_url(name) for name in DATABASES}
    for user in SERVICES:
        own = words | {"user": user}
        own["login"] = _filled(TEMPLATES / "login", own).rstrip()
        words[f"login_{user}"] = own["login"]
        words[f"common_{user}"] = _filled(TEMPLATES / "common", own)
    return words


def _filled(template: Path, words: dict[str, str]) -> str:
    return Template(template.read_text()).substitute(words)


def _write(name: Path, text: str) -> None:
    path = ETC / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _write_logins() -> None:
    """Write what people use: `openrc` for a shell, `clouds.yaml` for programs."""
    (STATE / "openrc").write_text(
        f"export OS_AUTH_URL={KEYSTONE} OS_IDENTITY_API_VERSION=3 OS_REGION_NAME={REGION}\n"
        f"export OS_USERNAME=${{1:-admin}} OS_PROJECT_NAME=${{1:-admin}} OS_PASSWORD={PASSWORD}\n"
        "export OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default\n"
    )
    clouds = "".join(
        f"""  {name}:
    auth:
      auth_url: {KEYSTONE}
      username: {name}
      password: {PASSWORD}
      project_name: {name}
      user_domain_name: Default
      project_domain_name: Default
    region_name: {REGION}
"""
        for name in ("admin", "demo")
    )
    (STATE / "clouds.yaml").write_text(f"clouds:\n{clouds}")


def stamped(name: str) -> bool:
    """Return whether something that is done once for a state has been done."""
    return (STATE / "stamp" / name).exists()


def stamp(name: str) -> None:
    (STATE / "stamp" / name).touch()
