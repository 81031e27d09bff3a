"""All the code that a name of a notebook can reach, and what of it matters."""

import ast
from collections import deque
from typing import NamedTuple

from course_lib.grading.policy import libraries
from course_lib.grading.policy.arguments import Arguments
from course_lib.grading.policy.scopes import Instance, Scope
from course_lib.grading.policy.trees import (
    COMPREHENSIONS,
    children,
    inner_parts,
    outer_parts,
)
from course_lib.grading.policy.values import IMPORTERS

COMPUTED = "looks up a name that is computed"
CHANGES = "changes a library"
ROUNDS = 6
LOOK_UPS = frozenset({"builtins.getattr", "operator.attrgetter"})
BY_NAME = LOOK_UPS | IMPORTERS | {"operator.methodcaller"}
CHANGERS = frozenset({"builtins.setattr", "builtins.delattr"})
# Ways from any object to the names or the code behind it.
BEHIND = frozenset(
    "__base__ __bases__ __builtins__ __closure__ __code__ __dict__ __getattr__ "
    "__getattribute__ __globals__ __loader__ __mro__ __reduce__ __reduce_ex__ __self__ "
    "__spec__ __subclasses__ __traceback__ ag_frame cr_frame ctypes f_back f_builtins "
    "f_code f_globals f_locals gi_frame tb_frame".split()
)


class Met(NamedTuple):
    """Something that was met on the way.

    Attributes:
        what: dotted name of the forbidden thing, or why the way cannot be followed
        cell: index of the cell
        line: number of the line, from 1
        called: True if it is called there
    """

    what: str
    cell: int
    line: int
    called: bool = False


class Reach(Arguments):
    """Follows one meaning of a name through the notebook.

    Attributes:
        answer: Met, the first use of something forbidden, or None
        unclear: Met, the first thing that cannot be followed, or None
    """

    def __init__(self, notebook, entries, surely, steps):
        super().__init__(notebook, entries, surely, steps)
        self.answer = self.unclear = None
        by_method = sorted(entries, key=libraries.is_method)  # methods win
        self._methods = {entry.split(".")[-1]: entry for entry in by_method}

    def follow(self, binding):
        """Look at all the code behind a Binding; returns itself."""
        for _ in range(ROUNDS):  # what functions are given is learnt on the way
            given = self.n_given
            self.new_round()
            self._start()
            self._binding(binding)
            while self._waiting and not self.answer:
                self._look(*self._waiting.popleft())
            if self.answer or not (self.grown or given < self.n_given):
                break
        return self

    def _start(self):
        self._waiting, self._seen = deque(), set()
        self._attributes, self._classes, self._every_method = set(), [], False
        self._called, self._inner, self._patched = set(), set(), set()

    def _wait(self, nodes, place):
        for node in nodes:
            if (id(node), place.moment) not in self._seen:
                self._seen.add((id(node), place.moment))
                self._waiting.append((node, place))

    def _binding(self, binding):
        """Follow what a name of the notebook itself stands for."""
        value, place = binding.value, binding.place
        if isinstance(value, Scope):
            self._scope(value, place.moment)
        elif isinstance(value, str):
            self._check(libraries.canonical(value), binding, place)
        elif isinstance(value, ast.AST):
            self._wait([value], place)
        for addition in binding.additions:
            if addition not in self._seen:
                self._seen.add(addition)
                self.give_as_called(addition.place.scope)
                self._binding(addition)

    def _scope(self, scope, moment):
        """Follow a function, or a class with the methods that are called."""
        if (id(scope), moment) in self._seen:
            return
        self._seen.add((id(scope), moment))
        self._wait(outer_parts(scope.node), scope.born)
        for when in {None, moment}:  # later, and at once
            here = scope.at(when)
            if not scope.is_class:
                self._wait(inner_parts(scope.node), here)
                continue
            body = inner_parts(scope.node)
            self._wait([n for n in body if id(n) not in self.notebook.by_node], here)
            self._classes.append((scope, here))
            for name in list(scope.names):
                if self._every_method or name in self._attributes or _dunder(name):
                    self._methods_called(scope, name, here)

    def _methods_called(self, scope, name, here):
        for value in self.all(scope.names.get(name, ()), here):
            self._into(value, here.moment)

    def _into(self, value, moment):
        if isinstance(value, (Scope, Instance)):
            scope = value.scope if isinstance(value, Instance) else value
            self._scope(scope, moment)

    def _look(self, node, place):
        """Look at one node, and put those below it on the list."""
        self.step()
        if isinstance(node, ast.Call):
            self._called.add(id(node.func))
            self._call(node, place)
        elif isinstance(node, ast.Attribute):
            self._inner.add(id(node.value))
            self._attribute(node, place)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._behind(node.id, place)
            self._use(self.values(node, place), node, place)
        if isinstance(node, (*COMPREHENSIONS, ast.Lambda)):
            scope = self.notebook.by_node[id(node)]
            self._wait(outer_parts(node), place)
            self._wait(inner_parts(node), scope.at(place.moment))
        else:
            if getattr(node, "decorator_list", None):  # the decorator may call it
                self._scope(self.notebook.by_node[id(node)], place.moment)
            self._wait(children(node), place)

    def _behind(self, name, place):
        """Follow what the cells bind a name to; what functions bind is on the list."""
        bindings, scope = self.lookup(name, place)
        if (scope, name, place.moment) not in self._seen:
            self._seen.add((scope, name, place.moment))
            for binding in bindings:
                at_top = binding.place.moment is not None
                if at_top and binding.line and not isinstance(binding.value, str):
                    self._binding(binding)

    def _use(self, values, node, place):
        for value in values:
            if isinstance(value, str):
                self._check(value, node, place)
            else:
                self._into(value, place.moment)

    def _check(self, path, node, place):
        """Is a path the answer, or one that hides what is behind it?"""
        line = getattr(node, "lineno", 0) or getattr(node, "line", 0)
        met = Met("", place.cell, line, id(node) in self._called)
        if id(node) not in self._inner:  # else what is taken from it decides
            if entry := libraries.forbidden(path, self.entries):
                what = path if libraries.is_ours(path) else entry
                self.answer = self.answer or met._replace(what=what)
            elif path not in BY_NAME and (reason := libraries.concern(path)):
                self.unclear = self.unclear or met._replace(what=reason)
        library = path.partition(".")[0]
        if library not in self._patched:
            self._patched.add(library)
            for binding in self.notebook.patches.get(library, ()):
                self._binding(binding)

    def _unclear(self, reason, node, place):
        met = Met(reason, place.cell, node.lineno)
        self.unclear = self.unclear or met

    def _attribute(self, node, place):
        base = self.values(node.value, place)
        if not isinstance(node.ctx, ast.Load):
            if any(isinstance(v, str) and not libraries.is_value(v) for v in base):
                self._unclear(CHANGES, node, place)
            return
        self._read(node.attr, base, node, place)
        self._use(self.values(node, place), node, place)

    def _read(self, name, base, node, place):
        """An attribute is read: is it a method, ours or a forbidden one?"""
        if name not in self._attributes:
            self._attributes.add(name)
            for scope, here in list(self._classes):
                self._methods_called(scope, name, here)
        if name in BEHIND:
            self._unclear(libraries.NAMES, node, place)
        if name in self.notebook.own_attributes:
            return
        if not base and (entry := self._methods.get(name)):
            if libraries.is_method(entry):
                self._check(entry, node, place)
            else:
                self._unclear(f"uses `.{name}` of something unknown", node, place)

    def _call(self, call, place):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        functions = self.values(call.func, place)
        for value in functions:
            if value in BY_NAME:
                self._by_name(value, call, place)
            elif value in CHANGERS and call.args:
                base = self.values(call.args[0], place)
                if any(isinstance(v, str) and not libraries.is_value(v) for v in base):
                    self._unclear(CHANGES, call, place)
            elif isinstance(value, (Scope, Instance)):
                self.give(value, call, place)
        if all(isinstance(value, str) for value in functions):
            self.hand_over(given, place)
        if any(self.values(argument, place) & BY_NAME for argument in given):
            self._unclear(COMPUTED, call, place)

    def _by_name(self, function, call, place):
        """getattr(x, name), import_module(name) and their like."""
        position = 1 if function == "builtins.getattr" else 0
        argument = call.args[position] if len(call.args) > position else None
        names = argument and self.strings(argument, place)
        base = self.values(call.args[0], place) if position and call.args else ()
        if names is None:
            own = base and all(_is_own(value) for value in base)
            if not own:
                self._unclear(COMPUTED, call, place)
            elif not self._every_method:
                self._every_method = True
                for scope, here in list(self._classes):
                    for name in list(scope.names):
                        self._methods_called(scope, name, here)
        elif position:
            for name in names:
                self._read(name, base, call, place)
        elif function not in IMPORTERS:
            for name in names:
                for part in name.split("."):
                    self._read(part, (), call, place)
        self._use(self.values(call, place), call, place)


def _is_own(value):
    """Is it surely no library, nor what only a library's name could tell apart?"""
    return not isinstance(value, str) or value in ("builtins()", "numpy()")


def _dunder(name):
    return name.startswith("__") and name.endswith("__")
