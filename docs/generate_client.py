"""Makes nimbi/client/blocking.py from the drivers' interfaces: `python docs/generate_client.py`."""

import ast
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

from nimbi.driver.capabilities import INTERFACES, OPERATIONS, Function

PLACE = Path(__file__).parents[1] / "src/nimbi/client/blocking.py"

HEAD = '''"""The interfaces as blocking callers see them. Made by docs/generate_client.py."""

from collections.abc import Iterable, Mapping
from typing import BinaryIO, Protocol

from nimbi.client.consoles import ConsoleTicket
from nimbi.client.contents import SyncContent
'''
TAIL = """
Content = bytes | BinaryIO | Iterable[bytes]
"""

# What an interface says, and what a blocking caller gives or gets instead.
INSTEAD = {
    "AsyncIterator[bytes]": "Content",
    "BlobContent": "SyncContent",
    "ImageContent": "SyncContent",
    "ConsoleStream": "ConsoleTicket",
}


def source() -> str:
    """Return the module, before it is formatted."""
    parsed = {operation: _parsed(operation.function) for operation in OPERATIONS.values()}
    named = {
        node.id
        for method in parsed.values()
        for node in ast.walk(method)
        if isinstance(node, ast.Name)
    }
    wanted: dict[str, set[str]] = {}
    for operation in parsed:
        module = inspect.getmodule(operation.function)
        for name in named:
            place = getattr(getattr(module, name, None), "__module__", "")
            if place.startswith("nimbi."):
                wanted.setdefault(place, set()).add(name)
    imports = [f"from {place} import {', '.join(sorted(wanted[place]))}" for place in wanted]
    classes = []
    for interface in INTERFACES:
        doc = (inspect.getdoc(interface) or "").partition("\n")[0]
        methods = [parsed[o] for o in parsed if o.interface is interface]
        body = "\n\n".join(textwrap.indent(ast.unparse(m), "    ") for m in methods)
        classes.append(f'class {interface.__name__}(Protocol):\n    """{doc}"""\n\n{body}\n')
    return "\n".join([HEAD + "\n".join(sorted(imports)), TAIL, "\n\n".join(classes)])


def _parsed(function: Function) -> ast.FunctionDef:
    """Return an operation as a method that blocks, without a body."""
    text = textwrap.dedent(inspect.getsource(function))
    found = ast.parse(text).body[0]
    assert isinstance(found, ast.AsyncFunctionDef)
    arguments = found.args
    for argument in arguments.args:
        argument.annotation = _told(argument.annotation)
    arguments.defaults = [ast.Constant(...) for _ in arguments.defaults]
    body: list[ast.stmt] = [ast.Expr(ast.Constant(...))]
    made = ast.FunctionDef(found.name, arguments, body, [], _told(found.returns))
    return ast.fix_missing_locations(made)


def _told(hint: ast.expr | None) -> ast.expr | None:
    instead = None if hint is None else INSTEAD.get(ast.unparse(hint))
    return hint if instead is None else ast.Name(instead)


def main() -> None:
    PLACE.write_text(source())
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--fix", "--select", "I", PLACE], check=True)
    subprocess.run([*ruff, "format", "--quiet", PLACE], check=True)


if __name__ == "__main__":
    main()
