"""Reports: their schemas, the files they lie in, the summary, the table, `verify`."""

import copy
import json
import os
import tracemalloc

import pytest
from click.testing import CliRunner
from grading_reports import HOSTILE, SEED, hostile_class, report, row
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console

from course_lib.cli import main
from course_lib.grading.reports import summary as summaries
from course_lib.grading.reports.files import (
    NoSeed,
    NotAReport,
    read_reports,
    read_seed,
    write_whole,
)
from course_lib.grading.reports.schema import NAMES, mistake, schema_text
from course_lib.grading.reports.summary import mistake_name, summarise
from course_lib.grading.reports.table import print_report
from course_lib.grading.signing import sign

STATUSES = ["passed", "wrong", "unanswered", "error", "stopped", "unreadable"]


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_a_schema_and_strict_everywhere(name):
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)

    def objects(part):
        if isinstance(part, dict):
            yield from [part] if part.get("type") == "object" else []
        for below in part.values() if isinstance(part, dict) else part:
            if isinstance(below, dict | list):
                yield from objects(below)

    found = list(objects(schema))
    assert len(found) >= 2
    for part in found:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


@pytest.mark.parametrize("name", NAMES)
def test_command_prints_the_schema(name):
    result = CliRunner().invoke(main, ["export", "schema", name])
    assert result.exit_code == 0 and result.output == schema_text(name)


@pytest.mark.parametrize("status", [*STATUSES, "refused"])
def test_a_report_of_each_status_fits(status):
    assert mistake(report(row("2.1", status)), "report") is None


def test_reports_of_hostile_students_fit_and_so_does_their_summary():
    for each in hostile_class():
        assert mistake(each, "report") is None
    assert mistake(summarise(hostile_class()), "summary") is None
    assert mistake(summarise([]), "summary") is None


def of_question(**changes):
    return lambda made: made["questions"][0].update(changes)


UNFIT = {
    "no list": lambda made: made.update(questions={}),
    "another schema": lambda made: made.update(schema=2),
    "a key more": lambda made: made.update(bonus=1),
    "a question's key more": of_question(bonus=1),
    "a key less": lambda made: made.pop("seed_id"),
    "a question's key less": lambda made: made["questions"][0].pop("policy"),
    "points below 0": lambda made: made.update(points=-1),
    "half points": of_question(points=0.5),
    "points as text": of_question(points="2"),
    "points as truth": of_question(points=True),
    "other sum": lambda made: made.update(points=made["points"] + 1),
    "other possible": lambda made: made.update(possible=made["possible"] + 1),
    "more than possible": lambda made: (
        made["questions"][0].update(points=99),
        made.update(points=99),
    ),
    "points for a wrong answer": of_question(status="wrong"),
    "points for a broken policy": of_question(policy="broken"),
    "refused with a policy kept": lambda made: made["questions"][1].update(
        status="refused"
    ),
    "an unknown status": of_question(status="great"),
    "an unknown policy": of_question(policy=""),
    "an unknown sandbox": lambda made: made.update(sandbox="docker"),
    "an id without a chapter": of_question(id="21"),
    "an id with a line end": of_question(id="2.1\n"),
    "a question twice": of_question(id="2.2"),
    "a hash in capitals": lambda made: made.update(submission_sha256="A" * 64),
    "a short signature": lambda made: made.update(signature="0" * 63),
    "a line end after it": lambda made: made.update(signature="0" * 64 + "\n"),
    "a long seed id": lambda made: made.update(seed_id="0" * 17),
    "a student without a name": lambda made: made.update(student=None),
    "no version": lambda made: made.update(grader=""),
}


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT)
def test_a_wrong_report_does_not_fit(change):
    made = copy.deepcopy(report())
    assert mistake(made, "report") is None
    change(made)
    said = mistake(made, "report")
    assert said and said.isprintable() and len(said) < 250


@pytest.mark.parametrize("content", [None, 3, "report", [], [report()], {}])
def test_what_is_no_object_is_no_report(content):
    assert mistake(content, "report")


def test_a_wrong_summary_does_not_fit():
    made = summarise(hostile_class())
    for key in made:
        assert mistake({k: v for k, v in made.items() if k != key}, "summary")
    assert mistake(made | {"bonus": 1}, "summary")
    assert mistake(made | {"graded": -1}, "summary")


def write(folder, *made):
    """Reports as a batch leaves them."""
    (folder / "reports").mkdir(parents=True)
    for number, each in enumerate(made):
        path = folder / "reports" / f"{number:03}.json"
        path.write_text(json.dumps(each, indent=2))
    (folder / "summary.json").write_text("{}")
    (folder / "secret-seed").write_text(f"{SEED}\n")
    return folder


def test_reports_come_from_folders_files_and_lists_in_order(tmp_path):
    made = [report(student=name) for name in "BCA"]
    folder = write(tmp_path / "results", *made)
    (folder / "reports" / ".half.json").write_text("{")
    assert list(read_reports([folder])) == made
    assert list(read_reports([folder / "reports"])) == made
    many = tmp_path / "many.json"
    many.write_text(json.dumps(made))
    assert list(read_reports([many, folder / "reports" / "001.json"])) == [
        *made,
        made[1],
    ]


UNREADABLE = {
    "not JSON": (b'{"schema": 1', "it is not JSON"),
    "deep": (b"[" * 10**5, "it is not JSON"),
    "not UTF-8": (b"\xff\xfe", "it is not UTF-8"),
    "a huge number": (b'{"points": ' + b"9" * 10**4 + b"}", "it is not JSON"),
    "a key twice": (b'{"points": 16, "points": 2}', "it is not JSON"),
    "other JSON": (b'{"cells": []}', "is not a report: $ is wrong"),
}


@pytest.mark.parametrize("content, says", UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_report_gets_a_sentence(tmp_path, content, says):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(NotAReport, match=r"a\.json") as caught:
        list(read_reports([path]))
    assert says in str(caught.value)


def test_missing_empty_and_strange_files_get_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    for path, says in [
        (tmp_path / "missing", "there is no file"),
        (tmp_path / "a.json", "is not a regular file"),
        (tmp_path / ("a" * 300), "cannot be read: File name too long"),
    ]:
        with pytest.raises(NotAReport, match=says):
            list(read_reports([path]))
    (tmp_path / "a.json").unlink()
    with open(tmp_path / "large.json", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(NotAReport, match="is larger than 64 MB"):
        list(read_reports([tmp_path / "large.json"]))
    (tmp_path / "large.json").unlink()
    with pytest.raises(NotAReport, match="has no reports in it"):
        list(read_reports([tmp_path]))


@pytest.mark.parametrize("text", ["", "-3", "0x10", "3.5", "seed", "9" * 2000, "²"])
def test_what_is_no_seed_gets_a_sentence(tmp_path, text):
    path = tmp_path / "secret-seed"
    path.write_text(text)
    with pytest.raises(NoSeed, match="secret-seed"):
        read_seed(path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_whole(path, "old \ud800")
    assert path.read_text() == "old ?"
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "")))
    with pytest.raises(OSError):
        write_whole(path, "new")
    assert path.read_text() == "old ?" and list(tmp_path.iterdir()) == [path]


def test_a_file_can_be_for_its_owner_only(tmp_path):
    write_whole(tmp_path / "secret-seed", "7", mode=0o600)
    assert (tmp_path / "secret-seed").stat().st_mode & 0o777 == 0o600


def test_summary_counts_by_hand():
    wrong = row("2.1", "wrong", message="`weights` is 0.5 at [1, 2], not 1.")
    other = row("2.1", "wrong", message="`weights` is -3e-07 at [10], not inf.")
    made = summarise(
        [
            report(row(), row("2.2", "unanswered"), student="A"),
            report(wrong, row("2.2"), student="B", sandbox="plain", of_record=False),
            report(other, row("2.2"), student="C", grader="0.2.0"),
            report(row("2.1", "unreadable"), student="D"),
            report(row("1.1"), student="E"),
        ]
    )
    assert made["graded"] == 5 and made["of_record"] == 4
    none = {"namespaces": 0, "user": 0}
    assert made["sandboxes"] == none | {"bubblewrap": 4, "plain": 1}
    assert made["graders"] == [
        {"name": "0.1.0", "count": 4},
        {"name": "0.2.0", "count": 1},
    ]
    assert made["statuses"]["passed"] == 4 and made["statuses"]["wrong"] == 2
    assert [q["id"] for q in made["questions"]] == ["1.1", "2.1", "2.2"]
    first = made["questions"][1]
    assert first["count"] == 4 and first["mean"] == 0.5
    assert first["points"] == [{"points": 0, "count": 3}, {"points": 2, "count": 1}]
    assert first["mistakes"] == [
        {
            "status": "wrong",
            "property": "rows sum to 1",
            "message": "`weights` is … at […], not ….",
            "count": 2,
        }
    ]
    assert first["other_mistakes"] == 0
    assert made["unreadable"]["count"] == 1
    assert made["unreadable"]["listed"][0]["student"] == "D"
    totals = {total["possible"]: total for total in made["totals"]}
    both = totals[row()["possible"] + row("2.2")["possible"]]
    assert both["count"] == 3 and both["median"] == row("2.2")["points"]


@pytest.mark.parametrize(
    "points, median", [([3], 3), ([1, 2], 1.5), ([1, 1, 4], 1), ([0, 2, 2, 9], 2)]
)
def test_the_median_is_the_middle(points, median):
    made = summarise(
        report(row(points=each, possible=9), student=str(number))
        for number, each in enumerate(points)
    )
    assert made["totals"][0]["median"] == median


@pytest.mark.parametrize(
    "message, name",
    [
        ("A weight is -0.25 at [0, 3].", "A weight is … at […]."),
        ("It has shape (2, 3, 5), not (2,).", "It has shape (…), not (…,)."),
        ("more than 4,194,304 bytes", "more than … bytes"),
        ("`W_2` is float32, `x1` is nan.", "`W_2` is float32, `x1` is …."),
        ("1e-07 and +2.5 and 3d", "… and … and 3d"),
    ],
)
def test_a_mistake_has_the_same_name_whatever_the_numbers(message, name):
    assert mistake_name(row(status="wrong", message=message))[2] == name


def test_the_text_of_an_exception_is_no_name():
    for text in ("boom", "bang: 3"):
        said = f"Your function stopped with ValueError: {text}. The line is `{text}`."
        name = mistake_name(row(status="error", message=said))
        assert name == ("error", "", "Your function stopped with ValueError.")


def test_the_most_frequent_mistakes_come_first_and_the_rest_is_counted():
    def made():
        for number in range(40):
            text = "abcdefgh"[min(number // 4, 7)]
            yield report(row(status="wrong", message=text), student=str(number))

    question = summarise(made())["questions"][0]
    counts = [each["count"] for each in question["mistakes"]]
    assert question["mistakes"][0]["message"] == "h" and counts == [12, 4, 4, 4, 4]
    assert sum(counts) + question["other_mistakes"] == 40
    assert summarise(reversed(list(made())))["questions"][0] == question


def test_memory_does_not_grow_with_the_batch():
    def flood(n):
        for number in range(n):
            text = "".join(chr(97 + int(digit)) for digit in str(number)) * 50
            yield report(
                row(status="wrong", message=text, property=text),
                row("2.2", "unreadable", policy="not decidable", message=text),
                student=text,
            )

    def peak(n):
        tracemalloc.start()
        made = summarise(flood(n))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held, made

    small, _ = peak(1100)
    large, made = peak(3300)
    assert large < 1.2 * small
    assert made["unreadable"]["count"] == made["policy_findings"]["count"] == 3300
    assert len(made["unreadable"]["listed"]) == summaries.MOST_LISTED
    question = made["questions"][0]
    assert sum(m["count"] for m in question["mistakes"]) <= summaries.MOST_NAMES
    assert len(question["mistakes"]) + question["other_mistakes"] == 3300


statuses = st.sampled_from(STATUSES)
pairs = st.tuples(statuses, statuses, st.booleans(), st.text(max_size=5))


@settings(deadline=None)
@given(st.lists(pairs, max_size=20))
def test_numbers_of_a_summary_hang_together(pairs):
    reports = [
        report(
            row("2.1", one, message=text),
            row("2.3", two),
            student=str(number),
            of_record=of_record,
        )
        for number, (one, two, of_record, text) in enumerate(pairs)
    ]
    made = summarise(iter(reports))
    assert mistake(made, "summary") is None
    n = len(pairs)
    assert made["graded"] == sum(made["sandboxes"].values()) == n
    assert made["of_record"] == sum(of_record for *_, of_record, _ in pairs)
    assert sum(made["statuses"].values()) == sum(made["policies"].values()) == 2 * n
    for question in made["questions"]:
        assert sum(question["statuses"].values()) == question["count"] == n
        assert sum(bar["count"] for bar in question["points"]) == n
        assert all(bar["points"] <= question["possible"] for bar in question["points"])
        wrong = sum(question["statuses"][status] for status in summaries.MISTAKES)
        named = sum(m["count"] for m in question["mistakes"])
        assert named + question["other_mistakes"] == wrong
    for total in made["totals"]:
        earned = sum(bar["points"] * bar["count"] for bar in total["points"])
        assert earned == sum(each["points"] for each in reports)


def test_statuses_and_sandboxes_are_those_of_the_schema():
    schema = json.loads(schema_text("report"))
    question = schema["$defs"]["question"]["properties"]
    assert list(summaries.STATUSES) == question["status"]["enum"]
    assert list(summaries.POLICIES) == question["policy"]["enum"]
    assert list(summaries.SANDBOXES) == schema["properties"]["sandbox"]["enum"]


def printed(made, width=100):
    console = Console(width=width, record=True, file=None, quiet=False)
    with console.capture() as shown:
        print_report(made, console)
    return shown.get()


def test_table_shows_points_status_message_and_what_the_policy_found():
    refused = row("2.2", "refused", policy_message="line 3 calls `torch.softmax`")
    text = printed(report(row(), refused, sandbox="plain", of_record=False), 160)
    assert "Ana/02.ipynb: 2 of" in text and "This is no score of record" in text
    assert "broken: line 3 calls `torch.softmax`" in text
    assert "Policy" not in printed(report()) and "no score" not in printed(report())
    empty = report(points=0, possible=0, questions=[])
    assert "Question" not in printed(empty) and "0 of 0 points" in printed(empty)


@pytest.mark.parametrize("text", ["[red]x[/red]", "[link=https://x.invalid]x[/]"])
def test_table_takes_nothing_for_markup(text):
    shown = printed(report(row(message=text, status="wrong"), file=text), 200)
    assert shown.count(text) == 2


def verify(*arguments):
    """Run `attention-course verify`; exit code and the lines that it printed."""
    result = CliRunner().invoke(main, ["verify", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output.splitlines()


def test_verify_says_right_of_what_the_grader_signed(tmp_path):
    folder = write(tmp_path / "results", *[report(student=name) for name in HOSTILE])
    code, lines = verify(folder)
    assert code == 0 and len(lines) == len(HOSTILE)
    assert all(line.startswith("right: ") for line in lines)
    assert verify(folder / "reports" / "000.json") == (0, lines[:1])
    many = tmp_path / "many.json"
    many.write_text(json.dumps([report(), report()]))
    code, lines = verify(many, "--seed-file", folder / "secret-seed")
    assert code == 0 and [line[-8:] for line in lines] == ["number 1", "number 2"]


BAD = {
    "altered after": report() | {"points": 16},
    "another seed": report(seed=SEED + 1),
    "no signature": {k: v for k, v in report().items() if k != "signature"},
    "not a report": {"cells": []},
    "is not JSON": None,
    "another schema": report() | {"schema": 2},
    "does not fit the schema": sign(report() | {"points": 99}, SEED),
}


@pytest.mark.parametrize("says", BAD)
def test_verify_says_in_one_line_what_is_wrong_and_looks_at_the_rest(tmp_path, says):
    folder = write(tmp_path / "results", report(), BAD[says], report(student="B"))
    if BAD[says] is None:
        (folder / "reports" / "001.json").write_text("{")
    code, lines = verify(folder)
    assert code == 1 and [line.partition(":")[0] for line in lines] == [
        "right",
        "WRONG",
        "right",
    ]
    assert says in lines[1] and "001.json" in lines[1]


def test_verify_needs_a_seed_and_a_report(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(report()))
    for arguments, says in [
        ([tmp_path / "a.json"], "name it with --seed-file"),
        ([tmp_path / "missing.json"], "there is no file"),
        ([tmp_path / ("a" * 300)], "there is no file"),
        ([tmp_path / "a.json", "--seed-file", tmp_path / "no"], "cannot be read"),
    ]:
        code, lines = verify(*arguments)
        assert code == 1 and says in lines[-1] and lines[-1].startswith("Error: ")
