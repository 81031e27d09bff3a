"""What own functions are given: by a call of them, or by a library that calls them."""

import ast

from course_lib.grading.policy.scopes import Binding, Instance, Scope
from course_lib.grading.policy.trees import parameters
from course_lib.grading.policy.values import Values, in_order


class Arguments(Values):
    """Values that also know what parameters are given, as far as calls were met."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._given = set()

    def give_as_called(self, scope):
        """Note what a function is given where the cells themselves call it."""
        name = getattr(scope.node, "name", None)
        for call, place in self.notebook.calls.get(name, ()):
            self.give(scope, call, place)

    def give(self, value, call, place):
        """Note what the parameters of an own function are given."""
        for scope in self._functions(value, place):
            names = [name for name, _ in parameters(scope.node.args)]
            offset = int(scope.is_method)
            for position, argument in enumerate(call.args):
                starred = isinstance(argument, ast.Starred)
                taken = names if starred else names[position + offset :][:1]
                self._argument(scope, taken or names[-1:], argument, place)
            for keyword in call.keywords:
                taken = [keyword.arg] if keyword.arg in names else names
                self._argument(scope, taken, keyword.value, place)

    def hand_over(self, given, place):
        """A function handed to a library may be called with what else is handed."""
        for argument in given:
            for value in in_order(self.values(argument, place)):
                for scope in self._functions(value, place):
                    names = [name for name, _ in parameters(scope.node.args)]
                    for other in given:
                        if other is not argument:
                            self._argument(scope, names, other, place)

    def _functions(self, value, place):
        """The functions that run when a value is called."""
        if isinstance(value, str):
            return []
        if isinstance(value, Scope) and not value.is_class:
            return [value] if hasattr(value.node, "args") else []
        name = "__call__" if isinstance(value, Instance) else "__init__"
        found = self.attribute([value], name, place)
        return [m for m in found if isinstance(m, Scope) and hasattr(m.node, "args")]

    def _argument(self, scope, names, argument, place):
        for name in names:
            self.step()
            key = scope, name, argument, place
            if key not in self._given:
                self._given.add(key)
                known = self.arguments.setdefault((scope, name), [])
                known.append(Binding(argument, place, 0))
                self.grown |= bool(self.values(argument, place))
