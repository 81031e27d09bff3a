"""A batch in numbers: counts and histograms over a stream of reports, none kept.

What it remembers does not grow with the batch: names of mistakes and lists to look at
have an upper bound, beyond which they are only counted.
"""

import re
from collections import Counter
from statistics import fmean

WORDS = {  # a status, as readers see it
    "passed": "right",
    "wrong": "not right yet",
    "unanswered": "not answered",
    "error": "stopped with an error",
    "stopped": "did not finish",
    "unreadable": "could not be read",
    "refused": "not allowed",
}
STATUSES = tuple(WORDS)
MISTAKES = ("wrong", "error", "stopped", "refused")
SANDBOXES = ("bubblewrap", "namespaces", "user", "plain")
POLICIES = ("kept", "broken", "not decidable", "not checked")
MOST_NAMES = 500  # different mistakes of a question that are told apart
MOST_SHOWN = 5  # mistakes of a question that are given
MOST_LISTED = 1000  # findings and unreadable files that are given
MAX_TEXT = 300

NO_QUESTIONS = "Nothing tells which chapter it belongs to, or it could not be read."
NUMBER = r"(?<![\w.])[-+]?(\d+(,\d{3})*(\.\d+)?(e[-+]?\d+)?|nan|inf)(?!\w)"


def summarise(reports):
    """The content of summary.json.

    Args:
        reports: iterable of reports, each looked at once; their order decides which
            findings are listed where there are too many

    Returns:
        dict, see summary.schema.json.
    """
    tally = _Tally()
    for report in reports:
        tally.add(report)
    return tally.content()


def mistake_name(row):
    """What a wrong answer is called: its status, property, and message without numbers.

    The message of an exception is left out too, for that is the student's own text.

    Args:
        row: a question of a report

    Returns:
        (status, property, message).
    """
    message = row["message"] or row["policy_message"]
    if row["status"] == "error":
        message = re.split(r"[:.]", message, maxsplit=1)[0] + "."
    message = re.sub(NUMBER, "…", message, flags=re.I)
    message = re.sub(r"…(,? *…)+", "…", message)
    return row["status"], row["property"][:MAX_TEXT], message[:MAX_TEXT]


class _Listed:
    """The first entries of a list, and how many there were."""

    def __init__(self):
        self.count, self.listed = 0, []

    def add(self, **entry):
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            self.listed.append({key: text[:MAX_TEXT] for key, text in entry.items()})


class _Question:
    """What is counted for one question."""

    def __init__(self):
        self.possible, self.mistakes_in_all = 0, 0
        self.points, self.statuses, self.mistakes = Counter(), Counter(), Counter()

    def add(self, row):
        self.possible = max(self.possible, row["possible"])
        self.points[row["points"]] += 1
        self.statuses[row["status"]] += 1
        if row["status"] in MISTAKES:
            self.mistakes_in_all += 1
            name = mistake_name(row)
            if name in self.mistakes or len(self.mistakes) < MOST_NAMES:
                self.mistakes[name] += 1

    def content(self, question_id):
        by_frequency = sorted(self.mistakes.items(), key=lambda item: (-item[1], item))
        shown = by_frequency[:MOST_SHOWN]
        names = ("status", "property", "message")
        return {
            "id": question_id,
            "possible": self.possible,
            "count": self.points.total(),
            "mean": _mean(self.points),
            "points": _distribution(self.points),
            "statuses": _fixed(self.statuses, STATUSES),
            "mistakes": [
                dict(zip(names, name, strict=True)) | {"count": count}
                for name, count in shown
            ],
            "other_mistakes": self.mistakes_in_all - sum(count for _, count in shown),
        }


class _Tally:
    """What is counted for the batch."""

    def __init__(self):
        self.graded = self.of_record = 0
        self.sandboxes, self.graders, self.seeds = Counter(), Counter(), Counter()
        self.policies = Counter()
        self.totals = {}  # possible points -> Counter of points
        self.questions = {}
        self.findings, self.unreadable = _Listed(), _Listed()

    def add(self, report):
        self.graded += 1
        self.of_record += report["of_record"]
        self.sandboxes[report["sandbox"]] += 1
        self.graders[report["grader"]] += 1
        self.seeds[report["seed_id"]] += 1
        of_same_size = self.totals.setdefault(report["possible"], Counter())
        of_same_size[report["points"]] += 1
        for row in report["questions"]:
            self.questions.setdefault(row["id"], _Question()).add(row)
            self.policies[row["policy"]] += 1
        self._list(report)

    def _list(self, report):
        """Note what somebody should look at."""
        who = {"student": report["student"], "file": report["file"]}
        rows = report["questions"]
        unread = [row["message"] for row in rows if row["status"] == "unreadable"]
        if unread or not rows:
            message = report["trouble"] or (unread or [NO_QUESTIONS])[0]
            self.unreadable.add(**who, message=message)
        for row in rows:
            if row["policy"] in ("broken", "not decidable"):
                finding = {"policy": row["policy"], "message": row["policy_message"]}
                self.findings.add(**who, question=row["id"], **finding)

    def content(self):
        ids = sorted(self.questions, key=question_order)
        statuses = sum((q.statuses for q in self.questions.values()), Counter())
        return {
            "schema": 1,
            "graded": self.graded,
            "of_record": self.of_record,
            "sandboxes": _fixed(self.sandboxes, SANDBOXES),
            "graders": _named(self.graders),
            "seed_ids": _named(self.seeds),
            "statuses": _fixed(statuses, STATUSES),
            "policies": _fixed(self.policies, POLICIES),
            "totals": [_total(*item) for item in sorted(self.totals.items())],
            "questions": [self.questions[id].content(id) for id in ids],
            "policy_findings": vars(self.findings),
            "unreadable": vars(self.unreadable),
        }


def question_order(question_id):
    """Sorts "2.10" after "2.9"."""
    return [int(part) for part in question_id.split(".")]


def _fixed(counter, names):
    return {name: counter[name] for name in names}


def _named(counter):
    return [{"name": name, "count": counter[name]} for name in sorted(counter)]


def _distribution(counter):
    return [{"points": points, "count": counter[points]} for points in sorted(counter)]


def _total(possible, points):
    return {
        "possible": possible,
        "count": points.total(),
        "mean": _mean(points),
        "median": _median(points),
        "points": _distribution(points),
    }


def _mean(points):
    return round(fmean(points.keys(), points.values()), 2)


def _median(points):
    """Of counted values: the middle one, or half-way between the two middle ones."""
    places = ((points.total() - 1) // 2, points.total() // 2)
    values, passed = [], 0
    for value in sorted(points):
        passed += points[value]
        values += [
            value for place in places if passed - points[value] <= place < passed
        ]
    return sum(values) / 2
