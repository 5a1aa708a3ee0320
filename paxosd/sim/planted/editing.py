"""How a bug is planted: a node of a function's syntax tree becomes another, or an attribute does.

Laws:
1. An edit is anchored at the name of a function, a kind of node, and names that occur in it. Whatever else is written
   there, and how, is no matter. It must meet exactly one node, or it is out of date and says so.
2. The module is neither written nor loaded anew: the function that is there already gets another code, so whoever holds
   the function has the bug.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from types import CodeType, FunctionType, ModuleType
from typing import Any

ORIGINAL = "_"
"""Stands, in what a node becomes, for what it was."""

OPERATORS: dict[str, type[ast.cmpop]] = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}


class OutOfDate(LookupError):
    """A planted bug changes something that is not there (any more), or not only there."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In one function, a node of some kind becomes another.

    `function`: "core.acceptor:Acceptor.restore", the module below paxosd. `kind`: a kind of node, or an operator, which
    means a comparison with it. `about`: names that all occur in it, `name=` where it is assigned to; of nodes in one
    another the innermost is meant.
    `becomes`: an expression or statements, in which `_` is the old node; or another operator.
    """

    function: str
    kind: type[ast.AST]
    about: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Patch:
    """An attribute ("core.types:Ballot.__eq__") becomes what `make` makes of it."""

    attribute: str
    make: Callable[[Any], Any]


Change = Edit | Patch


def carry_out(changes: Sequence[Change]) -> None:
    """Change this process for good; raises `OutOfDate` if one of the edits meets none or many nodes."""
    edits = [change for change in changes if isinstance(change, Edit)]
    for function in dict.fromkeys(edit.function for edit in edits):
        code = edited_code(function, [edit for edit in edits if edit.function == function])
        _function(function).__code__ = code
    for change in changes:
        if isinstance(change, Patch):
            owner, name = owner_of(change.attribute)
            setattr(owner, name, change.make(getattr(owner, name)))


def edited_code(function: str, edits: Sequence[Edit]) -> CodeType:
    """What this function would be with these edits; raises `OutOfDate`. Nothing is changed."""
    module, _, path = function.partition(":")
    source = importlib.import_module(f"paxosd.{module}")
    tree = ast.parse(inspect.getsource(source))
    node = _definition(tree, path)
    for edit in edits:
        _edit(node, edit)
    ast.fix_missing_locations(tree)
    compiled = compile(tree, str(source.__file__), "exec", dont_inherit=True)
    code = next(code for code in _codes(compiled) if code.co_qualname == path)
    known = {*vars(source), *vars(builtins), *(name for inner in _codes(code) for name in _variables(inner))}
    strange = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)} - known
    owner, _ = owner_of(function)
    if isinstance(owner, type):
        strange |= _own_attributes(node) - _attributes_of(owner)
    if strange:
        raise OutOfDate(f"there is no {', '.join(sorted(strange))} in {function}: bring the planted bug up to date")
    return code


def owner_of(attribute: str) -> tuple[Any, str]:
    """The class or the module that has this attribute, and its name there."""
    module, _, path = attribute.partition(":")
    *outer, name = path.split(".")
    owner: object = reduce(getattr, outer, importlib.import_module(f"paxosd.{module}"))
    if not isinstance(owner, type | ModuleType) or not hasattr(owner, name):
        raise OutOfDate(f"{attribute} is not there: bring the planted bug up to date")
    return owner, name


# ---- finding -----------------------------------------------------------------------------------


def _function(function: str) -> FunctionType:
    """The function itself, also of a property or a class method."""
    owner, name = owner_of(function)
    found = inspect.getattr_static(owner, name)
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    assert isinstance(found, FunctionType)
    return found


def _definition(tree: ast.Module, path: str) -> ast.FunctionDef:
    """The function or method with this name."""
    place: ast.AST = tree
    for name in path.split("."):
        inner = [
            node
            for node in ast.iter_child_nodes(place)
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
        ]
        if not inner:
            raise OutOfDate(f"there is no {path}: bring the planted bug up to date")
        place = inner[-1]
    assert isinstance(place, ast.FunctionDef)
    return place


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _own_attributes(node: ast.AST) -> set[str]:
    """The attributes of `self` that are read in a function."""
    return {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Load)
        if isinstance(inner.value, ast.Name) and inner.value.id == "self"
    }


def _attributes_of(owner: type) -> set[str]:
    """What the class and its bases have, or set as attributes of `self`."""
    found = set(dir(owner))
    for base in owner.__mro__[:-1]:
        if base.__module__.startswith("paxosd."):
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    found.add(node.attr)
    return found


def _variables(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames + code.co_cellvars + code.co_freevars


def _meets(node: ast.AST, edit: Edit) -> bool:
    if issubclass(edit.kind, ast.cmpop):
        right = isinstance(node, ast.Compare) and isinstance(node.ops[0], edit.kind)
    else:
        right = isinstance(node, edit.kind)
    return right and set(edit.about.split()) <= set(_names(node))


def _names(node: ast.AST) -> Iterator[str]:
    """All names that occur in a node: of variables, of attributes, of parameters given by name."""
    for inner in ast.walk(node):
        match inner:
            case ast.Name(name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Assign(targets):
                yield from (f"{name}=" for target in targets for name in _names(target))


# ---- changing ----------------------------------------------------------------------------------


def _edit(function: ast.FunctionDef, edit: Edit) -> None:
    met = [node for node in ast.walk(function) if node is not function and _meets(node, edit)]
    around = {outer for outer in met for inner in ast.walk(outer) if inner is not outer and inner in met}
    innermost = [node for node in met if node not in around]
    if len(innermost) != 1:
        seen = "; ".join(ast.unparse(node) for node in innermost) or "none"
        wanted = f"one {edit.kind.__name__} about {edit.about!r}"
        raise OutOfDate(f"{edit.function} has not {wanted}, but {seen}: bring the planted bug up to date")
    _Swap(innermost[0], edit.becomes).visit(function)


class _Swap(ast.NodeTransformer):
    """Puts what it becomes into the place of one node."""

    def __init__(self, old: ast.AST, becomes: str) -> None:
        self._old = old
        self._becomes = becomes

    def visit(self, node: ast.AST) -> Any:
        if node is not self._old:
            return self.generic_visit(node)
        if self._becomes in OPERATORS:
            assert isinstance(node, ast.Compare)
            return ast.Compare(node.left, [OPERATORS[self._becomes](), *node.ops[1:]], node.comparators)
        if isinstance(node, ast.expr):
            new = ast.parse(self._becomes, mode="eval").body
            return _Restore(node).visit(new)
        statements = ast.parse(self._becomes).body
        return [_Restore(node).visit(statement) for statement in statements]


class _Restore(ast.NodeTransformer):
    """Puts the old node into the place of `_`."""

    def __init__(self, old: ast.AST) -> None:
        self._old = old

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._old if node.id == ORIGINAL and isinstance(self._old, ast.expr) else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_old = isinstance(node.value, ast.Name) and node.value.id == ORIGINAL and isinstance(self._old, ast.stmt)
        return self._old if is_old else self.generic_visit(node)
