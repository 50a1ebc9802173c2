"""Lists of names in a query: `account=prod,test`."""

from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import bad_request


def names(exchange: Exchange, parameter: str) -> tuple[str, ...] | None:
    """Return the names in a parameter, each once; None when it is not told.

    Raises Problem for an empty one.
    """
    told = exchange.query.get(parameter)
    if told is None:
        return None
    found = tuple(dict.fromkeys(part.strip() for part in told.split(",")))
    if "" in found:
        raise bad_request(f"{parameter} is one name, or several with commas between")
    return found
