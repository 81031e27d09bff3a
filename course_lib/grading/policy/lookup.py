"""What names mean at a place, and what text an expression is."""

import ast

from course_lib.grading.policy import libraries
from course_lib.grading.policy.cells import Unreadable
from course_lib.grading.policy.meaning import END
from course_lib.grading.policy.scopes import Binding, Place

MAX_STEPS = 100_000
MAX_TEXTS = 64


class Lookup:
    """Looks names up.

    Args:
        notebook: Notebook
        entries: dotted names that are forbidden
        surely: True to follow only names whose meaning no condition decides
        steps: iterator that counts the work done for one answer

    Attributes:
        doubtful: True once a name was met whose meaning is not sure
        arguments: (Scope, name) -> Bindings of what a parameter is given
    """

    def __init__(self, notebook, entries, surely, steps):
        self.notebook, self.entries, self.surely = notebook, entries, surely
        self.doubtful, self.arguments = False, {}
        self._steps = steps

    def step(self):
        """Count one piece of work, so that no notebook takes long."""
        if next(self._steps) > MAX_STEPS:
            raise Unreadable("there is too much code behind the function")

    def lookup(self, name, place):
        """What a name may mean at a place: Bindings, and the Scope that has them."""
        scope = place.scope
        while scope.node and scope.shared.get(name) is not ast.Global:
            if name in scope.names and (not scope.is_class or scope is place.scope):
                given = self.arguments.get((scope, name), [])
                return scope.names[name] + given, scope
            scope = scope.born.scope
        meanings, since = self.notebook.meanings(name, place.moment or END)
        found = self._chosen(meanings)
        return self._from_stars(name, place, found, since), self.notebook.scope

    def _chosen(self, meanings):
        """All meanings; or, if it has to be sure, the only one that is no constant."""
        if len(meanings) < 2:
            return [binding for binding, _ in meanings]
        likely = [binding for binding, surely in meanings if surely]
        things = [b for b in likely if not isinstance(b.value, ast.Constant)]
        different = {b.value if isinstance(b.value, str) else b for b in things}
        self.doubtful |= len(likely) < len(meanings) or len(different) > 1
        if not self.surely:
            return [binding for binding, _ in meanings]
        return things[:1] if len(different) == 1 else []

    def _from_stars(self, name, place, found, since):
        """Bindings after each `from module import *`, and builtins."""
        for moment, module in self.notebook.stars:
            self.step()
            if not since < moment <= (place.moment or END):
                continue
            path = f"{module}.{name}"
            where = Place(self.notebook.scope, moment, moment[0])
            here = Binding(path, where, moment[1])
            comes = libraries.exports(module, name)
            if comes is None:
                comes = path in self.entries or None
            if comes or (comes is None and not found and not libraries.builtin(name)):
                found = [here]
            elif comes is None and libraries.concern(module):
                self.doubtful = True
                found = found if self.surely else [*found, here]
        if not found and (path := libraries.builtin(name)):
            return [Binding(path, place, 0)]
        return found

    def strings(self, node, place, depth=9):
        """The texts that an expression may be, a set; None if not all are known."""
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else None
        if not depth:
            return None
        if isinstance(node, ast.Name):
            bindings, _ = self.lookup(node.id, place)
            parts = [(b.value, b.place) for b in bindings]
            known = bindings and all(isinstance(b.value, ast.expr) for b in bindings)
            return self._any(parts, depth) if known else None
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return self._any([(part, place) for part in node.elts], depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = [self.strings(n, place, depth - 1) for n in (node.left, node.right)]
            if all(sides) and len(sides[0]) * len(sides[1]) <= MAX_TEXTS:
                return {left + right for left in sides[0] for right in sides[1]}
        return None

    def _any(self, parts, depth):
        found = [self.strings(node, place, depth - 1) for node, place in parts]
        return None if None in found else set().union(*found)
