"""Read one Python file of a package without running it: what it imports, defines, calls and writes out.

The file is hostile until proven otherwise. It is parsed, never compiled or imported, and only under a size
cap: the parser needs up to 600 times a file's size in memory, and `bombs` finds what would need more. The
tree is walked without recursion.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from harness.package.static.bombs import refuse_bombs
from harness.package.static.habits import NO_HABITS, Habits, Hint, dotted, habits_of

IMAGE_PYTHON = (3, 11)
SOURCE_BYTES_MAX = 1_000_000
_ELSEWHERE = re.compile(
    r"(/(kaggle|home|root|mnt|media|content|Users|data|workspace|opt/ml)/|[A-Za-z]:[\\/])\S*"
)
_DOWNLOADS = frozenset(
    {
        *("load_state_dict_from_url", "load_url", "urlretrieve", "urlopen", "download_url_to_file"),
        *("hf_hub_download", "snapshot_download", "from_pretrained"),
    }
)
_WEIGHTS = re.compile(r"[A-Z][A-Z0-9_]*")  # of torchvision: DEFAULT, IMAGENET1K_V1; a path is not written so


@dataclass(frozen=True, kw_only=True)
class Import:
    """One absolute import; `guarded` if a failure may be expected: in a try, a function or a condition."""

    module: str
    line: int
    guarded: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """One import as a way to another file of the package: `from ..module import names`."""

    level: int  # 0: absolute
    module: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    """The call shape of a method, `self` not counted."""

    least: int
    most: int | None  # None: any number
    asynchronous: bool
    decorated: bool
    line: int

    def takes_one(self) -> bool:
        """Tell whether it can be called with exactly one positional argument."""
        return self.least <= 1 and (self.most is None or self.most >= 1)


@dataclass(frozen=True, kw_only=True)
class ClassShape:
    """A class at the top of a module."""

    methods: dict[str, Method]
    open_ended: bool  # methods may come from elsewhere
    line: int


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one file says."""

    imports: tuple[Import, ...]
    names: frozenset[str]  # bound at the top level, imports included
    star_import: bool
    classes: dict[str, ClassShape]
    elsewhere: tuple[Hint, ...]  # absolute paths of other machines
    downloads: tuple[Hint, ...]
    links: tuple[Link, ...] = ()
    habits: Habits = NO_HABITS


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """The file is not valid Python."""

    message: str
    line: int


def scan(source: bytes, *, place: str) -> Scan | Unreadable:
    """Read one file of at most `SOURCE_BYTES_MAX` bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the contestant's business
            refuse_bombs(source)
            tree = ast.parse(source, filename=place, feature_version=IMAGE_PYTHON)
    except SyntaxError as error:
        return Unreadable(message=error.msg, line=error.lineno or 0)
    except (ValueError, LookupError, RecursionError, MemoryError) as error:
        return Unreadable(message=f"{type(error).__name__}: {error}" if str(error) else "too deep", line=0)
    imports: list[Import] = []
    elsewhere: list[Hint] = []
    downloads: list[Hint] = []
    links: list[Link] = []
    documentation = _documentation(tree)
    for node, guarded in _walk(tree):
        imports += _imports(node, guarded)
        links += _links(node)
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            elsewhere += _elsewhere(node)
        elif isinstance(node, ast.Call):
            downloads += _downloads(node)
    names, star_import = _names(tree)
    classes = {node.name: _class(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    return Scan(
        imports=tuple(imports),
        names=names,
        star_import=star_import,
        classes=classes,
        elsewhere=tuple(elsewhere),
        downloads=tuple(downloads),
        links=tuple(links),
        habits=habits_of(tree),
    )


def _links(node: ast.AST) -> Iterator[Link]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Link(level=0, module=alias.name, names=())
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield Link(level=node.level, module=node.module or "", names=names)


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, guarded = waiting.pop()
        yield node, guarded
        inside = guarded or isinstance(
            node, ast.Try | ast.If | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        )
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))


def _imports(node: ast.AST, guarded: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module=alias.name, line=node.lineno, guarded=guarded)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield Import(module=node.module, line=node.lineno, guarded=guarded)


def _documentation(tree: ast.Module) -> frozenset[int]:
    """Return the constants that are statements of their own: docstrings, and comments in quotes."""
    return frozenset(
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _elsewhere(node: ast.Constant) -> Iterator[Hint]:
    if isinstance(node.value, str):
        match = _ELSEWHERE.match(node.value)
        if match:
            yield Hint(text=match.group()[:200], line=node.lineno)


def _downloads(call: ast.Call) -> Iterator[Hint]:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if last in _DOWNLOADS or name in ("torch.hub.load", "hub.load"):
        yield Hint(text=f"{name}(…)", line=call.lineno)
    for keyword in call.keywords:
        if _names_weights(keyword):
            yield Hint(text=f"{name}(…, {keyword.arg}={_written(keyword.value)})", line=call.lineno)


def _written(value: ast.expr) -> str:
    """Return what an argument says; not by `ast.unparse`, which fails at many parts or digits."""
    if isinstance(value, ast.Constant):
        return repr(value.value)[:40] if isinstance(value.value, str | bool) else "…"
    return dotted(value)[:40]


def _names_weights(keyword: ast.keyword) -> bool:
    """Tell whether an argument names weights of a library, such as `weights="DEFAULT"`."""
    value = keyword.value
    if keyword.arg in {"pretrained", "encoder_weights"}:
        return isinstance(value, ast.Constant) and bool(value.value)
    if keyword.arg not in {"weights", "weights_backbone"}:
        return False
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str) and _WEIGHTS.fullmatch(value.value) is not None
    return "_Weights." in dotted(value)


def _names(tree: ast.Module) -> tuple[frozenset[str], bool]:
    names: set[str] = set()
    star = False
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound = {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            star = star or "*" in bound
            names |= bound
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names), star


def _class(node: ast.ClassDef) -> ClassShape:
    methods = {
        item.name: _method(item)
        for item in node.body
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    # A method may also come from a base, a decorator, or an assignment: then its absence says nothing.
    plain = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Expr, ast.Pass, ast.AnnAssign)
    open_ended = bool(node.bases or node.keywords or node.decorator_list)
    open_ended = open_ended or any(not isinstance(item, plain) for item in node.body)
    return ClassShape(methods=methods, open_ended=open_ended, line=node.lineno)


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Method:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required_keywords = sum(default is None for default in arguments.kw_defaults)
    return Method(
        # A keyword that must be given can never be: count it as one argument too many.
        least=max(0, positional - len(arguments.defaults) - 1) + 2 * required_keywords,
        most=None if arguments.vararg else max(0, positional - 1),
        asynchronous=isinstance(node, ast.AsyncFunctionDef),
        decorated=bool(node.decorator_list),
        line=node.lineno,
    )
