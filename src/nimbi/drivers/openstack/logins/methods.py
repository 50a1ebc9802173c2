"""How an entry of `clouds.yaml` logs in: its `auth_type`, and what stands under `auth`."""

from collections.abc import Callable, Mapping
from typing import Any

from nimbi.drivers.openstack.federation import Federation
from nimbi.drivers.openstack.login import application_credential
from nimbi.drivers.openstack.logins.files import Section
from nimbi.drivers.openstack.tokens import Way
from nimbi.model.errors import Unauthorized, Unsupported


def way_of(entry: Section) -> Way:
    """Return how to log in. Raises Unauthorized for what is missing, Unsupported."""
    auth: Section = entry["auth"]
    kind = str(entry.get("auth_type") or entry.get("auth_plugin") or _usual(auth))
    if kind in ("password", "token"):
        # Tools choose among these by what is there.
        kind = _usual(auth) if _usual(auth) != "password" else kind
    method = METHODS.get(kind)
    if method is None:
        raise Unsupported(f"the auth_type {kind!r} of clouds.yaml is not supported")
    return method(auth)


def _usual(auth: Section) -> str:
    if "password" in auth:
        return "password"
    if "application_credential_secret" in auth:
        return "v3applicationcredential"
    return "token" if "token" in auth else "password"


def _password(auth: Section) -> Way:
    user = {**_user(auth), "password": _needed(auth, "password")}
    return Way({"methods": ["password"], "password": {"user": user}}, _scope(auth))


def _token(auth: Section) -> Way:
    id = _needed(auth, "token")
    return Way({"methods": ["token"], "token": {"id": id}}, _scope(auth), given=id)


def _totp(auth: Section) -> Way:
    user = {**_user(auth), "passcode": _needed(auth, "passcode")}
    return Way({"methods": ["totp"], "totp": {"user": user}}, _scope(auth))


def _application(auth: Section) -> Way:
    secret = _needed(auth, "application_credential_secret")
    id = auth.get("application_credential_id")
    if id is not None:
        return application_credential(secret, id)
    name = _needed(auth, "application_credential_name")
    return application_credential(secret, None, name, _user(auth))


def _several(auth: Section) -> Way:
    named = auth.get("auth_methods") or ""
    methods = named if isinstance(named, list) else str(named).split(",")
    identity: dict[str, Any] = {"methods": []}
    for name in methods:
        bare = str(name).strip().removeprefix("v3")
        one = {"password": _password, "totp": _totp, "token": _token}.get(bare)
        if one is None:
            raise Unsupported(f"the auth_method {name!r} of clouds.yaml is not supported")
        identity["methods"].append(bare)
        identity[bare] = one(auth).identity[bare]
    if not methods:
        raise Unauthorized("clouds.yaml says nothing of auth_methods")
    return Way(identity, _scope(auth))


def _federated(grant: str) -> Callable[[Section], Way]:
    def way(auth: Section) -> Way:
        needed = {
            "password": ("username", "password", "client_id"),
            "client_credentials": ("client_id", "client_secret"),
            "": ("access_token",),
        }[grant]
        told = {name: _needed(auth, name) for name in needed}
        federation = Federation(
            provider=_needed(auth, "identity_provider"),
            protocol=_needed(auth, "protocol"),
            grant=grant,
            told={**told, "scope": auth.get("openid_scope", "openid profile")},
            client_secret=auth.get("client_secret"),
            discovery_url=auth.get("discovery_endpoint"),
            token_url=auth.get("access_token_endpoint"),
        )
        return Way(scope=_scope(auth), federation=federation)

    return way


METHODS: Mapping[str, Callable[[Section], Way]] = {
    "password": _password,
    "v3password": _password,
    "token": _token,
    "v3token": _token,
    "v3applicationcredential": _application,
    "v3totp": _totp,
    "v3multifactor": _several,
    "v3oidcpassword": _federated("password"),
    "v3oidcclientcredentials": _federated("client_credentials"),
    "v3oidcaccesstoken": _federated(""),
}


def _user(auth: Section) -> dict[str, Any]:
    if "user_id" in auth:
        return {"id": auth["user_id"]}
    return {"name": _needed(auth, "username"), "domain": _domain(auth, "user_domain")}


def _scope(auth: Section) -> dict[str, Any] | None:
    if "trust_id" in auth:
        return {"OS-TRUST:trust": {"id": auth["trust_id"]}}
    if "project_id" in auth:
        return {"project": {"id": auth["project_id"]}}
    if "project_name" in auth:
        domain = _domain(auth, "project_domain")
        return {"project": {"name": auth["project_name"], "domain": domain}}
    for kind in ("id", "name"):
        if f"domain_{kind}" in auth:
            return {"domain": {kind: auth[f"domain_{kind}"]}}
    return {"system": {"all": True}} if "system_scope" in auth else None


def _domain(auth: Section, whose: str) -> dict[str, str]:
    for prefix in (whose, "default_domain"):
        for kind in ("id", "name"):
            if f"{prefix}_{kind}" in auth:
                return {kind: auth[f"{prefix}_{kind}"]}
    return {"id": "default"}


def _needed(auth: Section, name: str) -> str:
    value = auth.get(name)
    if not value:
        raise Unauthorized(f"the login of clouds.yaml or OS_* says nothing of {name}")
    return str(value)
