"""The question for a login."""


def challenge(driver: str, host: str) -> tuple[bytes, bytes]:
    """Return the header that asks for a login. `driver` and `host` are this server's own words."""
    realm = f"{driver}-deltacloud@{host}".replace("\\", "").replace('"', "")
    return b"www-authenticate", f'Basic realm="{realm}"'.encode()
