"""Scores as CSV: plain, for Canvas, for Moodle; names in them, and formulas."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from grading_reports import HOSTILE, hostile_class, report, row
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.cli import main
from course_lib.grading.reports.cells import defused, to_csv
from course_lib.grading.reports.gradebooks import canvas, moodle, plain
from course_lib.grading.reports.roster import NotARoster, Roster, read_roster
from course_lib.grading.reports.students import by_student, listing


def table(rows):
    """Rows as a spreadsheet reads them from our file."""
    return list(csv.reader(io.StringIO(to_csv(rows), newline="")))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-a", "@SUM(A1)", " =1", "＝1", "--1"]
)
def test_no_cell_begins_like_a_formula(text):
    assert defused(text) == f"'{text}"
    assert defused(f"\t{text}") == f"' {text}" and defused(f"\n{text}") == f"' {text}"


@pytest.mark.parametrize("number", [0, 16, -3, "-3", "+7", "3.5", "-2,5", "00123"])
def test_numbers_stay_numbers(number):
    assert defused(number) == str(number)


@settings(deadline=None)
@given(st.lists(st.lists(st.text(), min_size=1, max_size=3), min_size=1, max_size=5))
def test_any_text_comes_back_in_its_own_cell_on_one_line_and_harmless(rows):
    back = table(rows)
    assert len(back) == to_csv(rows).count("\r\n") == len(rows)
    for cells, original in zip(back, rows, strict=True):
        for cell, text in zip(cells, original, strict=True):
            assert cell.isprintable()
            assert cell.removeprefix("'") == defused(text).removeprefix("'")
            if cell.lstrip()[:1] in ("=", "+", "-", "@"):
                float(cell.replace(",", "."))


def test_plain_has_a_row_for_each_report_and_a_column_for_each_question():
    made = [
        report(row("2.1"), row("2.2", "wrong"), student="B", student_id="7"),
        report(row("1.1"), student="A", of_record=False),
        report(points=0, possible=0, questions=[], student="C", file="c.ipynb"),
    ]
    rows, notes = plain(iter(made))
    points = row("1.1")["points"]
    possible = row("2.1")["points"] + row("2.2")["possible"]
    assert (
        rows
        == [
            [
                "student",
                "id",
                "file",
                "1.1",
                "2.1",
                "2.2",
                "total",
                "possible",
                "of_record",
            ],
            ["B", "7", "B/02.ipynb", "", 2, 0, 2, possible, "yes"],
            ["A", "", "A/02.ipynb", points, "", "", points, points, "no"],
            ["C", "", "c.ipynb", "", "", "", 0, 0, "yes"],
        ]
        and notes == []
    )


def test_questions_are_in_the_order_of_their_numbers():
    rows = [row("2.1") | {"id": id} for id in ("2.10", "10.1", "2.9")]
    assert plain([report(*rows)])[0][0][3:6] == ["2.9", "2.10", "10.1"]


def test_a_hostile_class_stays_in_its_cells():
    for made in (plain, canvas, moodle):
        rows = table(made(hostile_class())[0])
        assert {len(each) for each in rows} == {len(rows[0])}
        assert len(rows) >= 1 + len(HOSTILE)
        for cell in (cell for each in rows[1:] for cell in each):
            assert not cell.startswith(("=", "+", "-", "@", "\t"))


def test_two_notebooks_of_a_student_make_one_score_of_the_better_answers():
    made = by_student(
        [
            report(row("2.1", "wrong"), row("2.2"), student="A"),
            report(row("2.1"), row("2.2", "wrong"), student="A", of_record=False),
            report(row("1.1"), student="A"),
            report(row("1.1"), student="A", student_id="2"),
        ]
    )
    first, other = made.students
    assert first.points == sum(row(id)["points"] for id in ("1.1", "2.1", "2.2"))
    assert not first.of_record and other.of_record and first.repeated == {"2.1", "2.2"}
    assert made.total == first.points
    notes = list(made.notes())
    assert len(notes) == 2 and "1 of 2 students" in notes[0]
    assert notes[1].endswith("the better answers count: A.")
    nothing = report(points=0, possible=0, questions=[], student="N", student_id="3")
    (note,) = by_student([nothing]).notes()
    assert note == "No question could be graded, so 0 points: N (3)."


def test_a_sentence_names_the_first_students_and_counts_the_rest():
    made = by_student(report(student=str(number)) for number in range(22)).students
    assert listing(made[:2]) == "0, 1" and listing(made).endswith(", 19 and 2 more")


GRADEBOOK = """\
Student,ID,SIS User ID,SIS Login ID,Section,Essay (11),Chapter 2 (12),Final Score
,,,,,Manual Posting,,
    Points Possible,,,,,10,16,(read only)
"Doe, Ana",101,s1,ana,"One, Two",5,,80
"Roe, Bo",102,s2,bo@x.edu,One,,3,70
"Poe, Cy",103,s3,cy,One,,4,
"Poe, Cy",104,s4,cy2,One,,,
"Student, Test",105,,,One,,,
"""


def gradebook(tmp_path, text=GRADEBOOK):
    path = tmp_path / "gradebook.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def full(**who):
    """A report with 2 of 2 points."""
    return report(row("2.1"), **who)


def canvas_scores(tmp_path, reports, assignment="Chapter 2", text=GRADEBOOK):
    known = read_roster(gradebook(tmp_path, text), [])
    rows, notes = canvas(reports, known, assignment)
    assert rows[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    return {each[1]: each[5] for each in rows[2:]}, rows[:2], notes


def test_canvas_keeps_rows_and_order_and_fills_in_one_assignment(tmp_path):
    scores, head, notes = canvas_scores(tmp_path, [full(student_id="101")])
    assert scores == {"101": 2, "102": "3", "103": "4", "104": "", "105": ""}
    assert head[0][5:] == ["Chapter 2 (12)"]
    assert head[1] == ["    Points Possible", "", "", "", "", "16"]
    assert len(notes) == 2  # another name, and other points than Canvas has
    assert "Found by the id, under another name: Ana (101)." in notes
    assert "has 16 points in Canvas, but 2 are possible" in notes[1]


WHO = {
    "id": ({"student": "doeana", "student_id": "101"}, "101"),
    "SIS id": ({"student": "x", "student_id": "s2"}, "102"),
    "login for a name": ({"student": "bo@x.edu"}, "102"),
    "name as in a file": ({"student": "doeana"}, "101"),
    "first name first": ({"student": "ana doe"}, "101"),
    "last name first": ({"student": "Doe, Ana"}, "101"),
    "nobody": ({"student": "Zoe"}, None),
    "nobody's id": ({"student": "Zoe", "student_id": "999"}, None),
    "two of a name": ({"student": "Cy Poe"}, None),
    "no name": ({"student": "?"}, None),
}


@pytest.mark.parametrize("who, id", WHO.values(), ids=WHO)
def test_canvas_finds_a_student_by_id_login_or_name(tmp_path, who, id):
    before, _, nobody = canvas_scores(tmp_path, [])
    scores, _, notes = canvas_scores(tmp_path, [full(**who)])
    changed = {key for key in scores if scores[key] != before[key]}
    assert changed == ({id} if id else set())
    says = [note for note in notes if not note.startswith(("Found by", '"Chapter'))]
    doubtful = who["student"] == "Cy Poe"
    start = "Left out, for more than one" if doubtful else "Not in the gradebook: "
    assert [note.startswith(start) for note in says] == ([] if id else [True])


def test_one_row_is_never_filled_twice(tmp_path):
    made = [full(student="Ana Doe"), full(student="doeana", student_id="101")]
    scores, _, notes = canvas_scores(tmp_path, made)
    assert scores["101"] == 2
    assert "Left out, for more than one row or student fits: doeana (101)." in notes


def test_canvas_makes_a_new_assignment_where_the_gradebook_has_none(tmp_path):
    scores, head, _ = canvas_scores(tmp_path, [full(student_id="s1")], None)
    assert head[0][5] == "Attention, chapter 2" and head[1][5] == 2
    assert scores == {"101": 2, "102": "", "103": "", "104": "", "105": ""}


def test_canvas_without_a_gradebook():
    rows, _ = canvas([full(student="B", student_id="7"), full(student="A")])
    assert rows == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        + ["Attention, chapter 2"],
        ["    Points Possible", "", "", "", "", 2],
        ["B", "7", "", "", "", 2],
        ["A", "", "", "", "", 2],
    ]


def test_canvas_takes_first_and_last_names_and_semicolons(tmp_path):
    text = "LastName;FirstName;ID;SIS Login ID;Section\nDoe;Ana;101;ana;One\n"
    known = read_roster(gradebook(tmp_path, text), [])
    rows, _ = canvas([full(student="Ana Doe")], known)
    assert rows[2] == ["Doe", "Ana", "101", "ana", "One", 2]


WORKSHEET = """\
Identifier,"Full name","Email address",Status,Grade,"Maximum Grade",\
"Grade can be changed","Last modified (grade)","Feedback comments"
"Participant 501","Ana Doe",ana@x.edu,Submitted,,2.00,Yes,-,"- good, =1"
"Participant 502","Bo Roe",bo@x.edu,Submitted,1.50,2.00,Yes,"Monday, 3 March",
"""


def test_moodle_fills_in_grades_and_leaves_feedback_alone(tmp_path):
    path = tmp_path / "worksheet.csv"
    path.write_text(WORKSHEET)
    made = [full(student="x", student_id="501"), full(student="Zoe", student_id="9")]
    rows, notes = moodle(made, read_roster(path, []))
    assert rows[0] == [
        "Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade",
        "Grade can be changed", "Last modified (grade)",
    ]  # fmt: skip
    assert [each[4] for each in rows[1:]] == [2, "1.50"]
    assert rows[2][-1] == "Monday, 3 March"
    assert "Not in the gradebook: Zoe (9)." in notes


@pytest.mark.parametrize("student", ["Ana Doe", "ana@x.edu", "ana  doe"])
def test_moodle_finds_a_student_by_name_or_address(tmp_path, student):
    path = tmp_path / "worksheet.csv"
    path.write_text(WORKSHEET)
    rows, notes = moodle([full(student=student)], read_roster(path, []))
    assert rows[1][4] == 2 and notes == []


def test_moodle_is_told_apart_from_another_maximum(tmp_path):
    path = tmp_path / "worksheet.csv"
    path.write_text(WORKSHEET.replace("2.00", "10.00"))
    _, notes = moodle([full(student="Ana Doe")], read_roster(path, []))
    assert len(notes) == 1 and "has 10.00 points in Moodle, but 2 are" in notes[0]


def test_moodle_without_a_worksheet_needs_ids():
    rows, notes = moodle([full(student="A", student_id="501"), full(student="B")])
    assert [each[0] for each in rows] == ["Identifier", "Participant 501", ""]
    assert len(notes) == 1 and notes[0].endswith("--roster: B.")


def test_a_roster_may_have_short_long_and_empty_rows(tmp_path):
    text = "Student,ID,Section\nA\nB,1,One,more\n\n"
    known = read_roster(gradebook(tmp_path, text), [])
    assert known == Roster(
        ["Student", "ID", "Section"],
        [
            {"Student": "A", "ID": "", "Section": ""},
            {"Student": "B", "ID": "1", "Section": "One"},
            {"Student": "", "ID": "", "Section": ""},
        ],
    )


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"a,b\n1,2\n", b"\x00" * 9, b"ID\n" + b"x" * 2**18]
)
def test_what_is_no_roster_gets_a_sentence(tmp_path, content):
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(NotARoster, match=r"roster\.csv"):
        read_roster(path, [{"ID"}])


def command(*arguments):
    """Run `attention-course export csv`; exit code, output, errors."""
    result = CliRunner().invoke(main, ["export", "csv", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_command_prints_or_writes_the_same(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text(json.dumps([report(student="学"), report(student="=B")]))
    code, printed, errors = command(path)
    assert code == 0 and "学,,学/02.ipynb,2,0," in printed and errors == ""
    assert command(path, "-o", tmp_path / "a.csv") == (0, "", "")
    written = (tmp_path / "a.csv").read_bytes()
    raw = CliRunner().invoke(main, ["export", "csv", str(path)]).stdout_bytes
    assert written == raw and written.decode().replace("\r\n", "\n") == printed


def test_command_says_what_does_not_fit(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text(json.dumps([full(student="\x1b[2J")]))
    code, printed, errors = command(
        path, "--for", "canvas", "--roster", gradebook(tmp_path)
    )
    assert code == 0 and "Doe, Ana" in printed and "\x1b" not in printed + errors
    assert "Note: Not in the gradebook: " in errors


def test_command_makes_a_worksheet_for_moodle(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(full(student="A", student_id="501")))
    code, printed, errors = command(tmp_path / "a.json", "--for", "moodle")
    assert code == 0 and "Participant 501,A,2,2," in printed and errors == ""


def test_command_is_kind_about_mistakes(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    for arguments, says in [
        ([tmp_path / "no.json"], "Error: there is no file"),
        ([path, "--roster", path], "--roster needs --for canvas or --for moodle"),
        ([path, "--assignment", "x"], "--assignment needs --for canvas"),
        ([path, "--for", "canvas", "--roster", path], 'has no column "ID"'),
        ([path, "-o", tmp_path / "no" / "a.csv"], "Error: cannot write"),
    ]:
        code, printed, errors = command(*arguments)
        assert code != 0 and says in errors and printed == ""
