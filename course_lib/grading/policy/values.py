"""What an expression may stand for: library paths, own functions, classes, instances.

A set that is too large rather than too small: a list stands for all that is in it, a
name in a function for all that is ever bound to it there. The empty set is "unknown".
"""

import ast

from course_lib.grading.policy import libraries
from course_lib.grading.policy.cells import Unreadable
from course_lib.grading.policy.lookup import Lookup
from course_lib.grading.policy.scopes import Instance, Scope
from course_lib.grading.policy.trees import COMPREHENSIONS, FUNCTIONS

MAX_VALUES = 64
MAX_DEPTH = 120
NOTHING = frozenset()
IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
# What gives back what it is given, or holds it.
STANDARD = frozenset(
    "builtins collections contextlib copy functools importlib itertools operator queue "
    "types typing".split()
)
CONTENTS = {
    ast.Await: ("value",),
    ast.BinOp: ("left", "right"),
    ast.BoolOp: ("values",),
    ast.Dict: ("values",),
    ast.DictComp: ("value",),
    ast.GeneratorExp: ("elt",),
    ast.IfExp: ("body", "orelse"),
    ast.List: ("elts",),
    ast.ListComp: ("elt",),
    ast.NamedExpr: ("value",),
    ast.Set: ("elts",),
    ast.SetComp: ("elt",),
    ast.Starred: ("value",),
    ast.Subscript: ("value",),
    ast.Tuple: ("elts",),
    ast.UnaryOp: ("operand",),
    ast.YieldFrom: ("value",),
}


class Values(Lookup):
    """Looks expressions up; learns more in each round, until it has seen everything.

    Attributes:
        grown: True if another round may find more
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._meanings, self.grown = {}, False  # (Scope, name, moment) -> values

    def new_round(self):
        """Look everything up again, from what is known by now."""
        self._known, self._looked_up = {}, set()
        self._busy, self._again, self._depth = set(), set(), 0
        self.grown = False

    def values(self, node, place):
        """What an expression may stand for, a frozenset."""
        self.step()
        key = id(node), place.moment
        if key not in self._known:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise Unreadable("one thing leads to another too often")
            self._known[key] = found = frozenset(self._values(node, place))
            self._depth -= 1
            if len(found) > MAX_VALUES:
                raise Unreadable("too many things may be behind one name")
        return self._known[key]

    def _values(self, node, place):
        if isinstance(node, ast.Name):
            return self._named(node.id, place)
        if isinstance(node, ast.Attribute):
            base = self.values(node.value, place)
            return self.attribute(base, node.attr, place)
        if isinstance(node, ast.Call):
            return self._result(node, place)
        if isinstance(node, ast.Lambda):
            return {self.notebook.by_node[id(node)]}
        if isinstance(node, COMPREHENSIONS):
            place = self.notebook.by_node[id(node)].at(place.moment)
        found = set()
        for field in CONTENTS.get(type(node), ()):
            part = getattr(node, field)
            found |= self.union(part if isinstance(part, list) else [part], place)
        return found

    def union(self, nodes, place):
        """The values of all of some expressions."""
        found = set()
        for node in nodes:
            if node:
                found |= self.values(node, place)
        return found

    def _named(self, name, place):
        """The values of a name; what depends on itself grows from round to round."""
        bindings, scope = self.lookup(name, place)
        key = scope, name, place.moment
        before = self._meanings.get(key, NOTHING)
        if key in self._looked_up:
            if key in self._busy:
                self._again.add(key)
            return before
        self._looked_up.add(key)
        self._busy.add(key)
        self._meanings[key] = found = self.all(bindings, place).union(before)
        self._busy.discard(key)
        self.grown |= key in self._again and found != before
        return found

    def all(self, bindings, place):
        """What some Bindings may stand for, with what is put into them."""
        found = set()
        for binding in bindings:
            value, where = binding.value, binding.place
            if where.moment is None:
                where = where._replace(moment=place.moment)
            if isinstance(value, str):
                found.add(libraries.canonical(value))
            elif isinstance(value, (Scope, Instance)):
                found.add(value)
            elif value:
                found |= self.values(value, where)
            if binding.additions:
                found |= self.all(binding.additions, place)
        return found

    def attribute(self, base, name, place):
        """What `.name` of any of some values may stand for."""
        found = set()
        for value in base:
            if isinstance(value, str):
                found.add(libraries.canonical(f"{value}.{name}"))
            elif isinstance(value, Instance) or value.is_class:
                found |= self._member(value, name, place)
            elif name in ("__call__", "func"):
                found.add(value)
        return found

    def _member(self, value, name, place):
        """An attribute of a class of the notebook, its own or inherited."""
        scope = value.scope if isinstance(value, Instance) else value
        if name in scope.names:
            return self.all(scope.names[name], scope.at(place.moment))
        if (scope, name) in self._busy:
            return NOTHING
        self._busy.add((scope, name))
        bases = self.union(scope.node.bases, scope.born)
        bases = {f"{b.partition('.')[0]}()" if isinstance(b, str) else b for b in bases}
        found = self.attribute(bases, name, place)
        self._busy.discard((scope, name))
        return found

    def _result(self, call, place):
        """What a call may give back."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        functions = self.values(call.func, place)
        found = set()
        if not functions:  # something unknown may give back what it is given
            found.update(map(_as_value, self.union(given, place)))
        for value in functions:
            if value == "builtins.getattr" and len(call.args) > 1:
                base = self.values(call.args[0], place)
                for name in self.strings(call.args[1], place) or ():
                    found |= self.attribute(base, name, place)
                found |= self.union(call.args[2:], place)
            elif value in IMPORTERS and call.args:
                for name in self.strings(call.args[0], place) or ():
                    whole = value == "importlib.import_module" or len(call.args) > 3
                    found.add(libraries.canonical(name if whole else _first(name)))
            elif value == "builtins.super" and not call.args:
                found |= _class_around(place.scope)
            elif isinstance(value, str):
                library = _first(value).removesuffix("()")
                standard = library in STANDARD
                found |= self.union(given, place) if standard else {f"{library}()"}
            else:
                found |= self._from_own(value, given, place)
        return found

    def _from_own(self, value, given, place):
        """What a function, class or instance of the notebook may give back."""
        if isinstance(value, Instance):
            own = self._member(value, "__call__", place)
            own = [method for method in own if isinstance(method, Scope)]
            return NOTHING.union(*(self._from_own(m, given, place) for m in own))
        if value.is_class:
            return {Instance(value)} | self.union(given, place)
        if value in self._busy or not isinstance(value.node, FUNCTIONS):
            return NOTHING
        self._busy.add(value)
        found = self.union(value.returns, value.at(place.moment))
        self._busy.discard(value)
        return found


def in_order(values):
    """The same order for the same notebook, so that the same thing is met first."""
    return sorted(values, key=_rank) if len(values) > 1 else values


def _rank(value):
    if isinstance(value, str):
        return 0, value
    return 1, value.scope.number if isinstance(value, Instance) else value.number


def _as_value(value):
    """A library itself becomes one of its values: it may be something else by now."""
    if not isinstance(value, str) or libraries.is_value(value):
        return value
    first, dot, rest = value.partition(".")
    return f"{first}(){dot}{rest}"


def _first(path):
    return path.partition(".")[0]


def _class_around(scope):
    """The class that a method stands in, as an instance."""
    while scope.node and not scope.is_class:
        scope = scope.born.scope
    return {Instance(scope)} if scope.node else set()
