"""Which names a definition binds, and to what. Nothing is run: this reads trees."""

import ast
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from course_lib.grading.policy.binding import STORED, bound, root
from course_lib.grading.policy.trees import (
    COMPREHENSIONS,
    FUNCTIONS,
    SCOPES,
    inner_parts,
    parameters,
    walk,
)

RETURNING = (ast.Return, ast.Yield, ast.YieldFrom)


class Place(NamedTuple):
    """Where and when an expression is read.

    Attributes:
        scope: Scope that its names are looked up in
        moment: position in the notebook, (cell, line, column); None = when it is called
        cell: index of the cell it stands in
    """

    scope: "Scope"
    moment: tuple | None
    cell: int


@dataclass(eq=False)
class Binding:
    """One thing that a name may stand for.

    Attributes:
        value: expression, dotted path of an import, Scope, Instance, or None = unknown
        place: Place of the value
        lineno: int, 0 if no line of the notebook binds it
        additions: Bindings of what is put into it later, by `x.a = b` or `x.append(b)`
    """

    value: object
    place: Place
    lineno: int
    additions: list["Binding"] = field(default_factory=list)


@dataclass(eq=False)
class Scope:
    """A function, class or comprehension; the notebook's own has neither node nor born.

    Attributes:
        number: which of the notebook's definitions it is, from 1; its own is 0
        node: its tree
        born: Place where it is defined
        names: name -> Bindings, in any order
        shared: names that it declares global or nonlocal
        returns: expressions that a function gives back
        stored: name, a parameter perhaps -> Bindings of what is put into it
    """

    number: int = 0
    node: ast.AST | None = None
    born: Place | None = None
    names: dict[str, list[Binding]] = field(default_factory=dict)
    shared: dict[str, type] = field(default_factory=dict)
    returns: list[ast.expr] = field(default_factory=list)
    stored: dict[str, list[Binding]] = field(default_factory=dict)

    @property
    def is_class(self):
        """True for a class."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_method(self):
        """True for a function in a class that is given the instance, or the class."""
        return (
            isinstance(self.node, FUNCTIONS)
            and self.born.scope.is_class
            and not any(
                isinstance(d, ast.Name) and d.id == "staticmethod"
                for d in getattr(self.node, "decorator_list", ())
            )
        )

    def at(self, moment):
        """Place of what stands in it, when it is called at a moment."""
        return Place(self, moment, self.born.cell)


class Instance(NamedTuple):
    """An object of a class that the notebook defines, or that class as `cls`."""

    scope: Scope


class Scopes:
    """All definitions of a notebook.

    Attributes:
        by_node: id of a node -> its Scope
        outside: (name, Binding, kind) of what functions bind outside themselves
        patches: first part of a library's name -> Bindings of what is put into it
        own_attributes: names that the notebook's objects may have
    """

    def __init__(self):
        self.by_node, self._unread = {}, deque()
        self.outside, self.patches = [], defaultdict(list)
        self.own_attributes = set()

    def enter(self, node, place):
        """The new Scope of a definition that stands at a place."""
        scope = Scope(len(self.by_node) + 1, node, place)
        self.by_node[id(node)] = scope
        self._unread.append(scope)
        return scope

    def bindings(self, node, place):
        """(target, Binding, kind) of all that one node binds, see `bound`."""
        if isinstance(node, SCOPES):
            self.enter(node, place)
        for target, value, kind in bound(node):
            value = self.by_node.get(id(value), value)
            line = getattr(node, "lineno", 0)
            if isinstance(target, ast.Attribute):
                self.own_attributes.add(target.attr)
            yield target, Binding(value, place, line), kind

    def read(self):
        """Fill in the names of all scopes."""
        while self._unread:
            self._read(self._unread.popleft())

    def _read(self, scope):
        inside, here = list(walk(inner_parts(scope.node))), scope.at(None)
        if isinstance(scope.node, FUNCTIONS):
            self._parameters(scope)
        if isinstance(scope.node, ast.Lambda):
            scope.returns.append(scope.node.body)
        for node in inside:
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                scope.shared.update(dict.fromkeys(node.names, type(node)))
            elif isinstance(node, RETURNING) and node.value:
                scope.returns.append(node.value)
        stores = []
        for node in inside:
            for target, binding, kind in self.bindings(node, here):
                if isinstance(target, str):
                    walrus = isinstance(node, ast.NamedExpr)
                    self._name(scope, target, binding, kind, walrus)
                else:
                    stores.append((target, binding, kind))
        for target, binding, kind in stores:
            self._store(scope, target, binding, kind)
        if scope.is_class:
            self.own_attributes.update(scope.names)

    def _parameters(self, scope):
        for position, (name, default) in enumerate(parameters(scope.node.args)):
            value = default
            if position == 0 and scope.is_method:
                value = Instance(scope.born.scope)
            binding = Binding(value, scope.born, scope.node.lineno)
            scope.names.setdefault(name, []).append(binding)

    def _name(self, scope, name, binding, kind, walrus):
        declared = scope.shared.get(name)
        if walrus:  # it binds in the function around a comprehension
            while isinstance(scope.node, COMPREHENSIONS):
                scope = scope.born.scope
        elif declared is ast.Nonlocal:
            scope = scope.born.scope
            while scope.node and (scope.is_class or name not in scope.names):
                scope = scope.born.scope
        if scope.node is None or declared is ast.Global:
            self.outside.append((name, binding, kind))
        else:
            scope.names.setdefault(name, []).append(binding)

    def _store(self, scope, target, binding, kind):
        """Put a value into what the name at the root of a target stands for."""
        name, attribute = root(target)
        while scope.node and name not in scope.names:
            scope = scope.born.scope
        if scope.node is None:
            if name:
                self.outside.append((name, binding, kind))
            return
        values = [known.value for known in scope.names[name]]
        for value in values:
            if isinstance(value, Instance):
                known = value.scope.names.setdefault(attribute, [])
                known.append(binding)
                self.own_attributes.add(attribute)
            elif isinstance(value, str) and kind == STORED:
                self.patches[value.partition(".")[0]].append(binding)
        if not any(isinstance(value, (Instance, str)) for value in values):
            scope.names[name].append(binding)
            scope.stored.setdefault(name, []).append(binding)
