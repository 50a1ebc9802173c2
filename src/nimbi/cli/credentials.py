"""`nimbi credentials`."""

import click

from nimbi.cli.errors import fail


@click.command(
    short_help="Show the login of a cloud on this machine.",
    epilog="""\b
Examples:
  nimbi credentials local
  curl -u "$(nimbi credentials local --basic)" http://localhost:3001/api/instances""",
)
@click.argument("driver")
@click.option("--basic", is_flag=True, help="Print user:password alone, as curl -u takes it.")
def credentials(driver: str, basic: bool) -> None:
    """Show the login that DRIVER made up on this machine, and where it is kept.

    Only clouds that run on this machine have one: local. It is made up at the first use, and
    can be read by the user who runs the server. Variables such as NIMBI_LOCAL_PASSWORD, when
    they are set here as for the server, win over what is kept.
    """
    import msgspec

    from nimbi.driver.interface import Place, UserAndPassword
    from nimbi.gateway.registry import Registry
    from nimbi.model.errors import CloudError
    from nimbi.settings import SettingsError, load

    try:
        found = Registry().driver(driver)
        place = Place(load().state_path() / driver)
        login = found.own_login(found.settings(), place)
    except (CloudError, SettingsError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the login cannot be read: {error}")
    if not isinstance(login, UserAndPassword):
        fail(f"{driver} has no login of its own: use one that its cloud knows")
    values = msgspec.to_builtins(login)
    if basic:
        click.echo(":".join(values.values()))
        return
    for name, value in (*values.items(), ("kept in", str(place.state_dir))):
        click.echo(f"{name:9} {value}")
