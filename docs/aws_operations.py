"""Which operations of AWS the driver ec2 asks for, read from its code; called by its page."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from botocore.loaders import Loader
from generate import table

CODE = Path(__file__).parents[1] / "src" / "nimbi" / "drivers" / "ec2"

# The session's ways to call, and the services as AWS names them.
WAYS = {"ec2": "ec2", "elb": "elbv2", "cloudwatch": "cloudwatch", "sts": "sts"}
TITLES = {
    "ec2": "EC2",
    "elbv2": "Elastic Load Balancing",
    "cloudwatch": "CloudWatch",
    "sts": "Security Token Service",
    "s3": "S3",
}
# These tell of many operations to group them, and ask for none of them.
GROUPING = {"calls", "session"}

# S3 has no names in its requests: the method, what it is about, and what else tells it apart.
OF_S3 = (
    ("PUT", "blob", {"partNumber", "x-amz-copy-source"}, "UploadPartCopy"),
    ("PUT", "blob", {"partNumber"}, "UploadPart"),
    ("PUT", "blob", {"x-amz-copy-source"}, "CopyObject"),
    ("PUT", "blob", set(), "PutObject"),
    ("POST", "blob", {"uploads"}, "CreateMultipartUpload"),
    ("POST", "blob", {"uploadId"}, "CompleteMultipartUpload"),
    ("DELETE", "blob", {"uploadId"}, "AbortMultipartUpload"),
    ("DELETE", "blob", set(), "DeleteObject"),
    ("HEAD", "blob", set(), "HeadObject"),
    ("GET", "blob", set(), "GetObject"),
    ("POST", "bucket", {"delete"}, "DeleteObjects"),
    ("GET", "bucket", {"location"}, "GetBucketLocation"),
    ("GET", "bucket", set(), "ListObjectsV2"),
    ("HEAD", "bucket", set(), "HeadBucket"),
    ("PUT", "bucket", set(), "CreateBucket"),
    ("DELETE", "bucket", set(), "DeleteBucket"),
    ("GET", "all", set(), "ListBuckets"),
)
LEVELS = {2: "all", 3: "bucket", 4: "blob"}


def operations() -> str:
    """Return the table of all operations, a row each, with the modules that ask for it."""
    used: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in sorted(CODE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for service, operation in (*_of_queries(tree, path.stem), *_of_s3(tree)):
            used[service, operation].add(path.stem)
    rows = [
        [TITLES[service], f"`{operation}`", ", ".join(f"`{name}`" for name in sorted(modules))]
        for service in TITLES
        for (of, operation), modules in sorted(used.items())
        if of == service
    ]
    return f"{len(rows)} operations.\n\n{table(['service', 'operation', 'asked for by'], rows)}"


def _of_queries(tree: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    told: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            name = node.args[0]
            if node.func.attr in WAYS and isinstance(name, ast.Constant):
                told.add(name)
                yield WAYS[node.func.attr], str(name.value)
    for node in ast.walk(tree) if module not in GROUPING else ():
        if isinstance(node, ast.Constant) and node not in told:
            yield from ((s, str(node.value)) for s in _services_with(node.value))


def _services_with(name: object) -> Iterator[str]:
    found = (service for service in WAYS.values() if name in _names(service))
    yield from list(found)[:1]


@cache
def _names(service: str) -> frozenset[str]:
    return frozenset(Loader().load_service_model(service, "service-2")["operations"])


def _of_s3(tree: ast.AST) -> Iterator[tuple[str, str]]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for function in (node for node in ast.walk(tree) if isinstance(node, functions)):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Call":
                yield "s3", _operation(node, function)


def _operation(call: ast.Call, function: ast.AST) -> str:
    words = _texts(call)
    if "copied" in {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}:
        words.add("x-amz-copy-source")  # the store itself takes the bytes from another blob
    method, level = call.args[0], LEVELS[len(call.args)]
    assert isinstance(method, ast.Constant)
    for wanted, about, marks, operation in OF_S3:
        if (wanted, about) == (method.value, level) and marks <= words:
            return operation
    raise ValueError(f"no operation is {method.value} of {level}")


def _texts(tree: ast.AST) -> set[str]:
    return {str(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant)}
