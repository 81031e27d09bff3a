"""All the code that a name of a notebook can reach, and what of it matters."""

import ast
from collections import defaultdict, deque

from course_lib.grading.policy import libraries
from course_lib.grading.policy.arguments import Arguments
from course_lib.grading.policy.cells import Met
from course_lib.grading.policy.scopes import Instance, Scope
from course_lib.grading.policy.trees import (
    COMPREHENSIONS,
    children,
    inner_parts,
    outer_parts,
)
from course_lib.grading.policy.values import IMPORTERS, in_order

COMPUTED = "looks up a name that is computed"
CHANGES = "changes a library"
ROUNDS = 6
LOOK_UPS = frozenset({"builtins.getattr", "operator.attrgetter"})
BY_NAME = LOOK_UPS | IMPORTERS | {"operator.methodcaller"}
CHANGERS = frozenset({"builtins.setattr", "builtins.delattr"})


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
        self._by_library = defaultdict(list)
        for entry in entries:
            self._by_library[entry.partition(".")[0]].append(entry)
        self._methods = {entry.split(".")[-1]: entry for entry in by_method}

    def follow(self, binding):
        """Look at all the code behind a Binding; returns itself."""
        for _ in range(ROUNDS):  # what functions are given is learnt on the way
            self.new_round()
            self._start()
            self._binding(binding)
            for library in libraries.OF_WORKER:
                self._patches(library)
            while self._waiting and not self.answer:
                self._look(*self._waiting.popleft())
            if self.answer or not self.grown:
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
            self._use_library(libraries.canonical(value), binding, place)
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
        for when in (None, moment) if moment else (None,):  # later, and at once
            here, body = scope.at(when), inner_parts(scope.node)
            if not scope.is_class:
                self._wait(body, here)
                continue
            self._wait([n for n in body if id(n) not in self.notebook.by_node], here)
            self._classes.append((scope, here))
            for name in list(scope.names):
                every = self._every_method or name[:2] == name[-2:] == "__"
                if every or name in self._attributes:
                    self._use_own(self.all(scope.names[name], here), here)

    def _use_own(self, values, place):
        """Follow those of some values that the notebook defines."""
        for value in in_order(values):
            if isinstance(value, Instance):
                self._scope(value.scope, place.moment)
            elif isinstance(value, Scope):
                self._scope(value, place.moment)

    def _use_methods(self, name=None):
        """Follow the methods called `name`, or all, of the classes met so far."""
        for scope, here in list(self._classes):
            for method in list(scope.names) if name is None else [name]:
                self._use_own(self.all(scope.names.get(method, ()), here), here)

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
                if at_top and binding.lineno and not isinstance(binding.value, str):
                    self._binding(binding)

    def _use(self, values, node, place):
        self._use_own(values, place)
        for path in in_order(values):
            if isinstance(path, str):
                self._use_library(path, node, place)

    def _use_library(self, path, node, place):
        """Is a path the answer, or does it hide what is behind it?"""
        library = path.partition(".")[0].removesuffix("()")
        if id(node) not in self._inner:  # else what is taken from it decides
            entry = libraries.forbidden(path, self._by_library.get(library, ()))
            if entry:
                name = path if libraries.is_ours(path) else entry
                self._forbidden(name, node, place)
            elif path not in BY_NAME and (reason := libraries.concern(path)):
                self._unclear(reason, node, place)
        self._patches(library)

    def _patches(self, library):
        """Follow what the notebook puts into a library."""
        if library not in self._patched:
            self._patched.add(library)
            for binding in self.notebook.patches.get(library, ()):
                self._binding(binding)

    def _forbidden(self, name, node, place):
        called = id(node) in self._called
        self.answer = self.answer or Met(name, place.cell, node.lineno, called)

    def _unclear(self, reason, node, place):
        self.unclear = self.unclear or Met(reason, place.cell, node.lineno)

    def _attribute(self, node, place):
        base = self.values(node.value, place)
        if not isinstance(node.ctx, ast.Load):
            self._changed(base, node, place)
            return
        self._read(node.attr, base, node, place)
        self._use(self.values(node, place), node, place)

    def _changed(self, base, node, place):
        """An attribute is set: of a library, or of an own object that may hold some?"""
        if base and not any(map(_is_object, base)):
            self._unclear(CHANGES, node, place)

    def _read(self, name, base, node, place):
        """An attribute is read: is it a method, ours or a forbidden one?"""
        if name not in self._attributes:
            self._attributes.add(name)
            self._use_methods(name)
        if name in libraries.BEHIND:
            self._unclear(libraries.NAMES, node, place)
        if name in self.notebook.own_attributes:
            return
        if not base and (entry := self._methods.get(name)):
            if libraries.is_method(entry):
                self._forbidden(entry, node, place)
            else:
                self._unclear(f"uses `.{name}` of something unknown", node, place)

    def _call(self, call, place):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        functions = self.values(call.func, place)
        for value in in_order(functions):
            if value in BY_NAME:
                self._by_name(value, call, place)
            elif value in CHANGERS and call.args:
                self._changed(self.values(call.args[0], place), call, place)
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
                self._use_methods()
        elif position:
            for name in sorted(names):
                self._read(name, base, call, place)
        elif function not in IMPORTERS:
            for name in sorted(names):
                for part in name.split("."):
                    self._read(part, (), call, place)
        self._use(self.values(call, place), call, place)


def _is_object(value):
    return not isinstance(value, str) or libraries.is_value(value)


def _is_own(value):
    """Is it surely no library, nor what only a library's name could tell apart?"""
    return not isinstance(value, str) or value.startswith(("builtins()", "numpy()"))
