"""Commands that talk to a server: their common options, and how they end."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from nimbi.cli.errors import INTERRUPTED, fail, status_of

if TYPE_CHECKING:
    from nimbi.cli.config import Config
    from nimbi.cli.remote import Remote

FORMS = ("table", "json", "yaml", "csv", "name")

OPTIONS, FEATURES, COMMON = (
    "Options",
    "Options that not every cloud has (one that has it not refuses, nothing is dropped)",
    "Common options",
)


class Option(click.Option):
    """An option that stands under a heading of its own in the help."""

    def __init__(self, flags: Sequence[str], *, section: str = OPTIONS, **told: Any) -> None:
        super().__init__(flags, **told)
        self.section = section


class Desk:
    """What one run of a command works with: what was told, and the server."""

    def __init__(
        self,
        accounts: tuple[str, ...] = (),
        form: str | None = None,
        server: str | None = None,
        token_file: str | None = None,
    ) -> None:
        self.named = tuple(n for told in accounts for n in told.split(",") if n)
        self._form = form
        self._server = server
        self._token_file = token_file

    @cached_property
    def config(self) -> "Config":
        from nimbi.cli import config

        return config.read()

    @cached_property
    def remote(self) -> "Remote":
        """Return the server, opened at the first use."""
        from nimbi.cli.remote import find, open_remote

        return open_remote(find(self._server, self._token_file))

    @property
    def form(self) -> str:
        """Return one of FORMS."""
        told = self._form or self.config.output or "table"
        if told not in FORMS:
            raise click.UsageError(f"config.toml: output is one of {', '.join(FORMS)}")
        return told

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that are meant, none for all."""
        if self.named:
            return self.named
        return (self.config.account,) if self.config.account else ()

    @property
    def account(self) -> str | None:
        """Return the one account that is meant. Raises UsageError when several are told."""
        if len(self.accounts) > 1:
            raise click.UsageError("this takes one account (-a)")
        return self.accounts[0] if self.accounts else None

    def close(self) -> None:
        """End the connection, if there is one."""
        if "remote" in self.__dict__:
            self.remote.close()


class Command(click.Command):
    """A command whose callback gets a Desk first, made of the common options.

    What a cloud or the server refuses ends it with one line and the status of that kind of error.
    """

    common: tuple[str, ...] = ("accounts", "form", "server", "token_file")

    def __init__(self, name: str | None, **told: Any) -> None:
        without = told.pop("without", ())
        self.common = tuple(each for each in Command.common if each not in without)
        super().__init__(name, **told)
        self.params += [COMMON_OPTIONS[each]() for each in self.common]

    def invoke(self, ctx: click.Context) -> Any:
        desk = Desk(**{each: ctx.params.pop(each) for each in self.common})
        ctx.obj = desk
        with ending():
            try:
                return super().invoke(ctx)
            finally:
                desk.close()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                section = getattr(parameter, "section", COMMON)
                sections.setdefault(section, []).append(record)
        for section in sorted(sections, key=(OPTIONS, FEATURES, COMMON).index):
            with formatter.section(section):
                formatter.write_dl(sections[section])


@contextmanager
def ending() -> Iterator[None]:
    """End the command with one line and a fitting status when the block cannot go on."""
    from nimbi.cli.config import ConfigError
    from nimbi.model.errors import CloudError

    try:
        yield
    except CloudError as error:
        # Only what nobody foresaw needs the server's log, where the request's id finds it.
        note = (
            f" (request {error.request_id})"
            if type(error) is CloudError and error.request_id
            else ""
        )
        fail(f"{words_of(error.code)}: {error}{note}", status_of(error.code))
    except ConfigError as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read has enough, as `head` has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def words_of(code: str) -> str:
    """Return a code as people read it: `not found`."""
    return code.replace("_", " ")


def account_option() -> click.Option:
    """Return -a, which lists take several times and other commands once."""
    return Option(
        ["accounts", "-a", "--account"],
        section=COMMON,
        multiple=True,
        metavar="NAME",
        help="The account; for lists also several. [default: the only one, or all]",
        shell_complete=_complete_accounts,
    )


def form_option() -> click.Option:
    return Option(
        ["form", "-o", "--output"],
        section=COMMON,
        type=click.Choice(FORMS),
        help="How to tell it: for people (table) or for programs.",
    )


def server_option() -> click.Option:
    return Option(
        ["server", "--server"],
        section=COMMON,
        metavar="URL",
        help="The server. [variable NIMBI_SERVER; default: nimbi login's, nimbi up's, or none]",
    )


def token_option() -> click.Option:
    return Option(
        ["token_file", "--token-file"],
        section=COMMON,
        metavar="FILE",
        help="The file with the token. [variables NIMBI_TOKEN_FILE, NIMBI_TOKEN]",
    )


COMMON_OPTIONS: dict[str, Callable[[], click.Option]] = {
    "accounts": account_option,
    "form": form_option,
    "server": server_option,
    "token_file": token_option,
}


def _complete_accounts(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[Any]:
    from nimbi.cli.completion import account_names

    return account_names(incomplete)
