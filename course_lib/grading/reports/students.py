"""Reports by student: what a gradebook wants, one score for each."""

from dataclasses import dataclass, field

from course_lib.grading.reports.summary import question_order

MOST_NAMED = 20  # students that one sentence names


@dataclass
class Student:
    """What one student's notebooks earned together.

    Attributes:
        name, id: as in the reports; id may be empty
        questions: question id -> (points, possible); the better of two answers counts
        repeated: ids of questions that more than one notebook answers
        of_record: whether every report is
    """

    name: str
    id: str
    questions: dict = field(default_factory=dict)
    repeated: set = field(default_factory=set)
    of_record: bool = True

    @property
    def points(self):
        return sum(points for points, _ in self.questions.values())

    def add(self, report):
        """Count one more of this student's reports."""
        self.of_record = self.of_record and report["of_record"]
        for row in report["questions"]:
            score = (row["points"], row["possible"])
            if row["id"] in self.questions:
                self.repeated.add(row["id"])
                score = max(score, self.questions[row["id"]])
            self.questions[row["id"]] = score


@dataclass
class Class:
    """All students of a batch, in the order in which they come.

    Attributes:
        students: list of Student
        possible: question id -> possible points, in the order of the questions
    """

    students: list
    possible: dict

    @property
    def total(self):
        """Possible points of all questions together."""
        return sum(self.possible.values())

    def notes(self):
        """Sentences on what a grader should know before the scores are entered."""
        unrecorded = sum(not student.of_record for student in self.students)
        if unrecorded:
            yield (
                f"{unrecorded} of {len(self.students)} students have a score that is "
                "not of record: it was made without a sandbox."
            )
        if empty := [s for s in self.students if not s.questions]:
            yield f"No question could be graded, so 0 points: {listing(empty)}."
        if several := [s for s in self.students if s.repeated]:
            yield (
                "More than one notebook with the same questions, of which the better "
                f"answers count: {listing(several)}."
            )


def listing(students):
    """Students by name and id, the first ones, and how many more."""
    named = [f"{s.name} ({s.id})" if s.id else s.name for s in students]
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def by_student(reports):
    """The Class of these reports; one student has one name and one id."""
    students, possible = {}, {}
    for report in reports:
        key = report["student"], report["student_id"]
        students.setdefault(key, Student(*key)).add(report)
        for row in report["questions"]:
            known = possible.get(row["id"], 0)
            possible[row["id"]] = max(known, row["possible"])
    ids = sorted(possible, key=question_order)
    return Class(list(students.values()), {id: possible[id] for id in ids})
