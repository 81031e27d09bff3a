"""What each name of a notebook means at each moment, when its cells run in order.

Of two definitions of a name the later one counts. Where a branch decides which of them
it is, each may: nothing is run, and only constant conditions are followed.
"""

import ast
from bisect import bisect_right
from collections import defaultdict
from itertools import count

from course_lib.grading.policy.binding import NAMED, STORED, root
from course_lib.grading.policy.cells import Unreadable, parse, short
from course_lib.grading.policy.scopes import Place, Scope, Scopes
from course_lib.grading.policy.trees import SCOPES, parameters, walk

START, END = (-1, 0, 0), (10**9, 0, 0)  # before the first cell, after the last
MAX_MEANINGS = 50  # of one name at one moment
MAX_DEPTH = 110  # of blocks in blocks
MAX_STEPS = 100_000
LOOPS = (ast.For, ast.AsyncFor, ast.While)
TRIES = (ast.Try, ast.TryStar)
ALIASES = (ast.Name, ast.Attribute, ast.Subscript)


class Notebook(Scopes):
    """The names of a notebook.

    Args:
        cells: tuple of str, sources of the code cells in order, without magics
        failed: indices of cells that ended early, or may have: what they define counts
            as possible, not as certain

    Attributes:
        statements: (Place, statement) of all that runs when the cells do
        calls: name of a function -> (Call, Place) of each call among them
        stars: (moment, module) of each `from module import *`

    Raises:
        Unreadable.
    """

    def __init__(self, cells, failed=frozenset()):
        super().__init__()
        self.cells, self.scope = cells, Scope()
        self.statements, self.calls, self.stars = [], defaultdict(list), []
        self._now, self._history = {}, {}  # name -> ((Binding, surely), ...)
        self._changes = []  # of each branch around: name -> what it meant before
        self._loop_end, self._tries, self._depth = None, 0, 0
        self._steps = count()
        for self._cell, tree in enumerate(parse(cells)):
            if tree and self._cell in failed:
                self._branches([tree.body], (self._cell, 10**9, 0), may_skip=True)
            elif tree:
                self._block(tree.body)
        self.read()
        self._take_from_inside()

    def meanings(self, name, moment):
        """((Binding, surely), ...) of a name at a moment, and the moment since when."""
        moments, history = self._history.get(name, ((), ()))
        position = bisect_right(moments, moment) - 1
        return (history[position], moments[position]) if position >= 0 else ((), START)

    def _block(self, statements):
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable(f"cell {self._cell + 1} is nested too deeply")
        for statement in statements:
            self._statement(statement)
        self._depth -= 1

    def _statement(self, statement):
        start, end = self._start(statement), self._end(statement)
        outermost = isinstance(statement, LOOPS) and not self._loop_end
        if outermost:  # what the loop binds late is there when it comes round again
            self._loop_end = end
        place = Place(self.scope, self._loop_end or start, self._cell)
        self.statements.append((place, statement))
        blocks = [getattr(statement, "body", None), getattr(statement, "orelse", None)]
        leads = not isinstance(statement, SCOPES) and any(blocks)
        self._bind(statement, place, (*start[:2], start[2] + 1) if leads else end)
        if isinstance(statement, TRIES):
            self._try(statement, end)
        elif isinstance(statement, ast.Match):
            self._branches([case.body for case in statement.cases], end, may_skip=True)
        elif isinstance(statement, (ast.If, ast.While)):
            self._condition(statement, blocks, end)
        elif isinstance(statement, LOOPS):
            self._branches(blocks[:1], end, may_skip=True)
            self._block(blocks[1])
        elif leads:
            self._block(blocks[0])
        if outermost:
            self._loop_end = None

    def _condition(self, statement, blocks, end):
        truth = self._truth(statement.test)
        if truth is not None:
            self._block(blocks[0] if truth else blocks[1])
        elif isinstance(statement, ast.If):
            self._branches(blocks, end)
        else:
            self._branches(blocks[:1], end, may_skip=True)
            self._block(blocks[1])

    def _try(self, statement, end):
        self._tries += bool(statement.handlers)  # the body may end at any line
        self._block(statement.body)
        self._tries -= bool(statement.handlers)
        if statement.handlers:
            blocks = [handler.body for handler in statement.handlers]
            self._branches(blocks, end, may_skip=True)
        self._block(statement.orelse)
        self._block(statement.finalbody)

    def _branches(self, blocks, end, may_skip=False):
        """Run alternatives, each from the same start; then a name may mean any."""
        outcomes = []
        for block in blocks:
            self._changes.append({})
            self._block(block)
            before = self._changes.pop()
            outcomes.append({name: self._now[name] for name in before})
            moment = self._end(block[-1]) if block else end
            for name, meanings in before.items():
                self._set(name, meanings, moment)
        for name in dict.fromkeys(name for outcome in outcomes for name in outcome):
            old = self._now[name]
            meanings = [outcome.get(name, old) for outcome in outcomes]
            meanings += [old] if may_skip else []
            self._set(name, tuple(m for some in meanings for m in some), end)

    def _bind(self, statement, place, moment):
        """Take in what a statement binds, but not what is in the blocks it leads."""
        for node in walk([statement], into_blocks=False):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self.calls[node.func.id].append((node, place))
            if isinstance(node, ast.Delete):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._set(target.id, (), moment)
            for target, binding, kind in self.bindings(node, place):
                if target == "*":
                    self.stars.append((moment, binding.value))
                elif isinstance(target, str):
                    old = self._now.get(target, ()) if self._loop_end else ()
                    if self._tries:
                        old = tuple((b, False) for b, _ in self._now.get(target, ()))
                    self._set(target, (*old, (binding, True)), moment)
                else:
                    for known, _ in self._now.get(root(target)[0], ()):
                        self._add(known, binding, kind)

    def _step(self):
        if next(self._steps) > MAX_STEPS:
            raise Unreadable("too many names are bound too often")

    def _set(self, name, meanings, moment):
        self._step()
        if self._changes:
            self._changes[-1].setdefault(name, self._now.get(name, ()))
        self._now[name] = meanings = tuple(dict.fromkeys(meanings))
        if len(meanings) > MAX_MEANINGS:
            raise Unreadable(
                f"cell {self._cell + 1} rebinds `{short(name, 40)}` too often"
            )
        moments, history = self._history.setdefault(name, ([], []))
        moments.append(moment)
        history.append(meanings)

    def _add(self, known, binding, kind, aliases=5):
        """Put a value into what a Binding stands for, and what that is an alias of."""
        self._step()
        if isinstance(known.value, str) and kind != NAMED:
            if kind == STORED:  # np.append(a, b) puts nothing into np
                self.patches[known.value.partition(".")[0]].append(binding)
            return
        known.additions.append(binding)
        if aliases and isinstance(known.value, ALIASES):
            name, moment = root(known.value)[0], known.place.moment or END
            for other, _ in self.meanings(name, moment)[0]:
                if other is not known:
                    self._add(other, binding, kind, aliases - 1)

    def _take_from_inside(self):
        """What functions bind outside themselves may happen at any moment."""
        for name, binding, kind in self.outside:
            moments, history = self._history.setdefault(name, ([], []))
            if kind == NAMED and not history:
                moments.append(START)
                history.append(((binding, True),))
            for known in {b: None for meanings in history for b, _ in meanings}:
                if known is not binding:
                    self._add(known, binding, kind)
        for name, calls in self.calls.items():
            for known, _ in self.meanings(name, END)[0]:
                if isinstance(known.value, Scope) and hasattr(known.value.node, "args"):
                    for call, place in calls:
                        self._fill(known.value, call, place)

    def _fill(self, function, call, place):
        """`fill(box)`, where the function stores to what it is given."""
        names = [name for name, _ in parameters(function.node.args)]
        given = list(zip(names, call.args, strict=False))
        given += [(keyword.arg, keyword.value) for keyword in call.keywords]
        for name, argument in given:
            for binding in function.stored.get(name, ()):
                for known, _ in self.meanings(root(argument)[0], place.moment)[0]:
                    self._add(known, binding, STORED)

    def _truth(self, test):
        """What a condition is, if that can be read; else None."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            truth = self._truth(test.operand)
            return None if truth is None else not truth
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name):
            right = test.comparators[0]
            is_main = isinstance(right, ast.Constant) and right.value == "__main__"
            if test.left.id == "__name__" and is_main and len(test.ops) == 1:
                return isinstance(test.ops[0], ast.Eq)
        if isinstance(test, ast.Name):
            meanings = self._now.get(test.id, ())
            test = meanings[0][0].value if len(meanings) == 1 else None
        return bool(test.value) if isinstance(test, ast.Constant) else None

    def _start(self, node):
        return self._cell, node.lineno, node.col_offset

    def _end(self, node):
        return self._cell, node.end_lineno, node.end_col_offset
