"""What is handed in: files, folders and zips, whole, odd, damaged or hostile."""

import io
import json
import os
import random
import stat
import struct
import subprocess
import unicodedata
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.grading import hand_in, zips
from course_lib.grading.grader import Limits, grade
from course_lib.grading.hand_in import find
from course_lib.grading.layouts import whose
from course_lib.grading.notebook import MAX_BYTES, MAX_CODE, Unreadable, parse
from course_lib.grading.reports.schema import mistake

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Exercises\n"]},
        {
            "cell_type": "code",
            "metadata": {"nbgrader": {"grade_id": "q2-1-answer", "points": 2}},
            "source": ["def softmax(scores):\n", "    return scores"],
        },
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
CONTENT = json.dumps(NOTEBOOK).encode()


def put(path, content=CONTENT):
    """A file, with the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pack(path, *members):
    """A zip of (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def outcomes(*paths):
    """By name, what reading gives: the content, or the sentence on why not."""
    found = find(paths)
    names = [one.file for one in found]
    assert names == sorted(set(names))
    return {one.file: outcome(one) for one in found}


def outcome(one):
    """The content of a hand-in, or the sentence on why not, with its name as FILE."""
    try:
        return one.read()
    except Unreadable as problem:
        sentence = str(problem)
        assert "\n" not in sentence and not sentence.endswith(".")
        assert one.file in sentence
        return sentence.replace(one.file, "FILE")


def test_files_folders_and_zips_mix_and_each_notebook_counts_once(tmp_path):
    anna = put(tmp_path / "class" / "anna" / "02.ipynb", b"anna")
    put(tmp_path / "class" / "anna" / "03.ipynb", b"anna's other")
    put(tmp_path / "class" / "ben" / "deep" / "02.IPYNB", b"ben")
    alone = put(tmp_path / "carl.ipynb", b"carl")
    packed = pack(tmp_path / "more.zip", ("dora/02.ipynb", b"dora"))
    paths = [tmp_path / "class", alone, packed]
    expected = {
        "anna/02.ipynb": b"anna",
        "anna/03.ipynb": b"anna's other",
        "ben/deep/02.IPYNB": b"ben",
        "carl.ipynb": b"carl",
        "more.zip/dora/02.ipynb": b"dora",
    }
    assert outcomes(*paths) == expected
    again = [anna, *reversed(paths), tmp_path / "class" / "." / "ben", alone, packed]
    assert outcomes(*again) == expected
    students = {one.file: one.student for one in find(paths)}
    assert list(students.values()) == ["anna", "anna", "ben", "carl", "dora"]


def test_what_is_hidden_or_no_notebook_is_left_out(tmp_path):
    for name in (
        ".hidden.ipynb",
        ".ipynb_checkpoints/02-checkpoint.ipynb",
        "notes.txt",
        "02.ipynb.bak",
        "data/x.csv",
    ):
        put(tmp_path / name)
    put(tmp_path / "anna" / "02.ipynb", b"anna")
    pack(
        tmp_path / "mac.zip",
        ("__MACOSX/._02.ipynb", b"-"),
        ("ben/02.ipynb", b"ben"),
        ("ben/read me.txt", b"-"),
        ("folder.ipynb/", b""),
        (".ipynb_checkpoints/02.ipynb", b"-"),
    )
    found = outcomes(tmp_path)
    assert found == {"anna/02.ipynb": b"anna", "mac.zip/ben/02.ipynb": b"ben"}


def test_equal_names_are_told_apart_by_the_folders_around(tmp_path):
    for name in ("hw1/anna/hw/02.ipynb", "hw1/ben/hw/02.ipynb", "hw1/ben/hw/03.ipynb"):
        put(tmp_path / name)
    paths = sorted((tmp_path / "hw1").rglob("*.ipynb"))
    found = {one.file: one.student for one in find(paths)}
    assert found == {
        "03.ipynb": "03",
        "anna/hw/02.ipynb": "anna",
        "ben/hw/02.ipynb": "ben",
    }
    folders = [tmp_path / "hw1" / "anna", tmp_path / "hw1" / "ben"]
    assert list(outcomes(*folders)) == [
        "anna/hw/02.ipynb",
        "ben/hw/02.ipynb",
        "hw/03.ipynb",
    ]


def test_students_of_zips_with_equal_names_are_those_inside(tmp_path):
    for group, student in (("a", "anna"), ("b", "anna"), ("b", "ben")):
        (tmp_path / group).mkdir(exist_ok=True)
        path = tmp_path / group / "all.zip"
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{student}/02.ipynb", b"")
    found = find([tmp_path / "a" / "all.zip", tmp_path / "b" / "all.zip"])
    assert [(one.file, one.student) for one in found] == [
        ("a/all.zip/anna/02.ipynb", "anna"),
        ("all.zip/ben/02.ipynb", "ben"),
        ("b/all.zip/anna/02.ipynb", "anna"),
    ]


@pytest.mark.parametrize(
    "file, student, student_id",
    [
        ("submitted/anna/hw1/02_x.ipynb", "anna", ""),
        ("course/submitted/anna/hw1/02_x.ipynb", "anna", ""),
        ("anna/hw1/02_x.ipynb", "anna", ""),
        ("submitted/02_x.ipynb", "submitted", ""),
        ("Ada King_123456_assignsubmission_file_/02_x.ipynb", "Ada King", "123456"),
        ("Ada King_123456_assignsubmission_file_02_x.ipynb", "Ada King", "123456"),
        ("a.zip/D_E_77_assignsubmission_file_/w/02_x.ipynb", "D_E", "77"),
        ("lovelaceada_12345_678910_02_x.ipynb", "lovelaceada", "12345"),
        ("c.zip/lovelaceada_LATE_12345_678910_02_x.ipynb", "lovelaceada", "12345"),
        ("lovelaceada_12345_678910_work.zip/hw/02_x.ipynb", "lovelaceada", "12345"),
        ("homework_2026_05_anna.ipynb", "homework_2026_05_anna", ""),
        ("anna.ipynb", "anna", ""),
        ("class.zip/anna.ipynb", "anna", ""),
        ("anna.zip/02_x.ipynb", "anna", ""),
        ("anna/work.zip/hw/02_x.ipynb", "anna", ""),
        ("02_x.ipynb", "02_x", ""),
        (" .ipynb", " .ipynb", ""),
        ("<script>/02_x.ipynb", "<script>", ""),
        ("=cmd()_12_345_x.ipynb", "=cmd()", "12"),
    ],
)
def test_a_student_is_known_by_what_moodle_canvas_and_nbgrader_call_files(
    file, student, student_id
):
    assert whose(tuple(file.split("/"))) == (student, student_id)


def test_links_pipes_and_missing_files_get_a_sentence_and_are_never_followed(tmp_path):
    put(tmp_path / "secret" / "02.ipynb", b"secret")
    folder = tmp_path / "class"
    put(folder / "anna" / "02.ipynb", b"anna")
    (folder / "ben.ipynb").symlink_to(tmp_path / "secret" / "02.ipynb")
    (folder / "carl").symlink_to(tmp_path / "secret")
    (folder / "dora.zip").symlink_to(tmp_path / "nowhere")
    (folder / "notes").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "eve.ipynb")
    os.mkfifo(folder / "fred.zip")
    found = outcomes(
        folder, folder / "ben.ipynb", folder / "carl", tmp_path / "gone.ipynb"
    )
    assert found.pop("anna/02.ipynb") == b"anna"
    assert found.pop("eve.ipynb") == "FILE is not a regular file"
    assert "not a zip" in found.pop("fred.zip")
    assert found.pop("gone.ipynb") == "there is no file FILE"
    assert list(found) == ["ben.ipynb", "carl", "dora.zip"]
    assert all("is a link" in sentence for sentence in found.values())


def test_a_link_put_in_place_of_a_file_that_was_found_is_not_followed(tmp_path):
    secret = tmp_path / "secret"
    for path in (
        put(tmp_path / "anna.ipynb"),
        pack(tmp_path / "ben.zip", ("02.ipynb", b"ben")),
    ):
        (one,) = find([path])
        path.rename(secret)
        path.symlink_to(secret)
        assert "link" in outcome(one)


def test_folders_that_cannot_be_read_or_are_empty_get_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    assert "holds no notebook" in outcomes(tmp_path / "empty")["empty"]
    put(tmp_path / "class" / "anna" / "02.ipynb")
    put(tmp_path / "class" / "ben" / "02.ipynb")
    real = os.scandir

    def scandir(path):
        if path.name == "anna":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = outcomes(tmp_path / "class")
    assert found["anna"] == "FILE cannot be read: Permission denied"
    assert found["ben/02.ipynb"] == CONTENT


def test_folders_deeper_than_pythons_stack_are_searched(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    depth = 1200
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("02.ipynb", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    (one,) = find([tmp_path])
    content = one.read()
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # Python cannot
    assert one.student == "d" and one.file.endswith("d/d/02.ipynb")
    assert len(one.file) <= hand_in.MAX_NAME + 1 and content == b""


def test_names_are_printable_and_stay_apart(tmp_path):
    names = [b"\xff.ipynb", b"a\x1b[31m\n.ipynb", "ü.ipynb", "<b>&=1+1.ipynb"]
    names = [os.fsencode(name) for name in names]
    decomposed = os.fsencode(unicodedata.normalize("NFD", "ü.ipynb"))
    for number, name in enumerate([*names, decomposed]):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"%d" % number)
    found = outcomes(tmp_path)
    assert all(name.isprintable() for name in found)
    assert all(one.student.isprintable() for one in find([tmp_path]))
    assert sorted(found.values()) == [b"0", b"1", b"2", b"3", b"4"]
    assert {"\\udcff.ipynb", "<b>&=1+1.ipynb", "ü.ipynb", "ü.ipynb (2)"} <= set(found)


def test_names_in_a_zip_are_utf_8_whether_it_says_so_or_not(tmp_path):
    path = pack(tmp_path / "a.zip", ("jürgen/02.ipynb", b"says so"))
    silent = path.read_bytes().replace(b"j\xc3\xbcrgen", b"\xc3\xa9rgend")
    # The flag of the member, in both places where it stands.
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = silent.index(signature) + offset
        silent = silent[:at] + b"\0\0" + silent[at + 2 :]
    assert "a.zip/jürgen/02.ipynb" in outcomes(path)
    assert list(outcomes(put(tmp_path / "b.zip", silent))) == ["b.zip/érgend/02.ipynb"]


def entry(name, mode=stat.S_IFREG | 0o644, method=zipfile.ZIP_DEFLATED):
    """A zip's entry with the mode of a file, link or pipe."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    info.compress_type = method
    return info


def test_one_bad_member_of_a_zip_gets_a_sentence_and_costs_no_other(tmp_path):
    slips = ["../up.ipynb", "/etc/root.ipynb", "a/../../b.ipynb", "..\\win.ipynb",
             "C:\\drive.ipynb", "C:drive.ipynb", "\\\\host\\share.ipynb"]  # fmt: skip
    path = pack(
        tmp_path / "class.zip",
        *((name, b"slip") for name in slips),
        ("anna/02.ipynb", b"anna"),
        ("ben\\02.ipynb", b"ben"),
        (entry("link/02.ipynb", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (entry("pipe/02.ipynb", stat.S_IFIFO), b""),
        (entry("packed/02.ipynb", method=zipfile.ZIP_LZMA), b"lzma"),
        ("inner.zip", b"PK"),
        ("big/02.ipynb", bytes(MAX_BYTES + 1)),
    )
    before = sorted(tmp_path.rglob("*"))
    found = outcomes(path)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked
    assert found.pop("class.zip/anna/02.ipynb") == b"anna"
    assert found.pop("class.zip/ben/02.ipynb") == b"ben"
    for name, says in {
        "link/02.ipynb": "is a link or another special file",
        "pipe/02.ipynb": "is a link or another special file",
        "packed/02.ipynb": "is packed in a way that is not read here",
        "inner.zip": "is a zip inside a zip",
        "big/02.ipynb": "is larger than 50 MB",
    }.items():
        assert says in found.pop(f"class.zip/{name}")
    assert len(found) == len(slips)
    assert all("leads out of it" in sentence for sentence in found.values())
    assert not any(".." in name or name.startswith("/") for name in found)


def test_encrypted_and_duplicate_members_get_a_sentence(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(
            tmp_path / "a.zip", ("x.ipynb", b"1"), ("x.ipynb", b"2"), ("y.ipynb", b"3")
        )
    found = outcomes(path)
    assert "is in its zip 2 times" in found["a.zip/x.ipynb"]
    assert found["a.zip/y.ipynb"] == b"3"
    content = bytearray(pack(tmp_path / "b.zip", ("x.ipynb", b"1")).read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    found = outcomes(put(tmp_path / "b.zip", content))
    assert "is encrypted" in found["b.zip/x.ipynb"]


def lying_about_its_size(content, size):
    """The same zip, its one member said to unpack to `size` bytes."""
    content = bytearray(content)
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(signature) + offset, size)
    return bytes(content)


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_TOTAL", 2**20)
    bomb = pack(
        tmp_path / "bomb.zip", *((f"{i}.ipynb", bytes(2**19)) for i in range(9))
    )
    assert "more than 100 times its size" in outcomes(bomb)["bomb.zip"]
    small = pack(tmp_path / "small.zip", ("x.ipynb", bytes(2**22)))
    put(small, lying_about_its_size(small.read_bytes(), 10))
    assert "its zip is damaged" in outcomes(small)["small.zip/x.ipynb"]


def test_reading_a_member_ends_at_the_limit_whatever_the_zip_says(
    tmp_path, monkeypatch
):
    path = pack(tmp_path / "a.zip", ("x.ipynb", bytes(2**20)))
    (one,) = find([path])
    monkeypatch.setattr(zips, "MAX_BYTES", 2**19)
    assert "is larger than" in outcome(one)


def test_zips_that_are_damaged_empty_or_endless_get_one_sentence(tmp_path, monkeypatch):
    good = pack(tmp_path / "a.zip", *((f"{i}.ipynb", CONTENT) for i in range(5)))
    content = good.read_bytes()
    for number, bad in enumerate([b"", b"PK", b"no zip", content[:-30], bytes(500)]):
        (sentence,) = outcomes(put(tmp_path / f"{number}.zip", bad)).values()
        assert sentence == "FILE is not a zip, or it is damaged"
    (sentence,) = outcomes(pack(tmp_path / "none.zip", ("a.txt", b""))).values()
    assert sentence == "FILE holds no notebook (.ipynb)"
    monkeypatch.setattr(zips, "MAX_MEMBERS", 4)
    assert outcomes(good) == {"a.zip": "FILE holds more than 4 files"}
    monkeypatch.setattr(zips, "MAX_DIRECTORY", 100)
    assert outcomes(good) == {"a.zip": "FILE has too long a list of files"}


def test_a_zip_that_changed_after_it_was_found_is_read_anew(tmp_path):
    path = pack(tmp_path / "a.zip", ("x.ipynb", b"old"), ("y.ipynb", b"y"))
    first, second = find([path])
    assert outcome(first) == b"old"
    pack(path, ("x.ipynb", b"new, and longer"))
    assert outcome(first) == b"new, and longer"
    assert "its zip is damaged" in outcome(second)


def test_a_hundred_thousand_files_of_one_name_are_found_at_once(tmp_path, monkeypatch):
    count = 10_000  # takes minutes if each looks at all others
    path = pack(
        tmp_path / "a.zip",
        *(("./" * number + "x.ipynb", b"") for number in range(200)),
        *((f"{number}/x.ipynb", b"") for number in range(count)),
    )
    found = find([path])
    assert len({one.file for one in found}) == count + 200


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32), zipped=st.booleans())
def test_no_mutation_of_bytes_or_zips_is_more_than_a_sentence(
    tmp_path_factory, seed, zipped
):
    folder = tmp_path_factory.mktemp("mutated")
    content = CONTENT
    if zipped:
        stored = io.BytesIO()
        with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("anna/02.ipynb", CONTENT)
            archive.writestr("ben/02.ipynb", CONTENT)
        content = stored.getvalue()
    mutated = mutate(content, random.Random(seed))
    for one in find([put(folder / f"02.{'zip' if zipped else 'ipynb'}", mutated)]):
        content = outcome(one)
        if isinstance(content, bytes):
            parsed(content)


def mutate(content, rng):
    """Bytes changed, cut out, doubled or put in, a few times."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(content) + 1)
        length = rng.choice([1, 1, 2, 8, 40])
        new = rng.choice(
            [b"", rng.randbytes(length), content[at : at + length] * 2, b"[" * 2000,
             b"\0", b"\xed\xa0\x80", b'"', b"9" * 5000, b"1e999", b"NaN", b"{}"]
        )  # fmt: skip
        content[at : at + rng.choice([0, length])] = new
    return bytes(content)


def parsed(content):
    """The notebook in some bytes, or None if there is a sentence on why not."""
    try:
        notebook = parse("02.ipynb", content)
    except Unreadable as problem:
        assert str(problem).startswith("02.ipynb ")
        return None
    assert all(isinstance(cell, str) for cell in notebook.cells)
    for cell in ("softmax", "soft_lookup"):
        notebook.cell_defining(cell)
    return notebook


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_a_mutated_notebook_always_gets_its_report(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("mutated") / "02.ipynb"
    path.write_bytes(mutate(CONTENT, random.Random(seed)))
    report, trouble = grade(path, seed, Limits(cell=5, call=5, notebook=10))
    assert mistake(report, "report") is None and report["trouble"] == (trouble or "")
    assert report["points"] <= 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(deadline=None)
@given(data=st.data())
def test_no_mutation_of_a_notebooks_json_is_more_than_a_sentence(data):
    document = json.loads(CONTENT)
    places = [((), document)]
    for path, value in places:
        if isinstance(value, dict | list):
            keys = value if isinstance(value, dict) else range(len(value))
            places += [((*path, key), value[key]) for key in keys]
    for path, _ in data.draw(st.lists(st.sampled_from(places[1:]), max_size=3)):
        parent = document
        try:
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = data.draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue  # what was above it is changed already
    parsed(json.dumps(document).encode())


@pytest.mark.parametrize(
    "cell",
    [
        "\n",
        " ",
        "from ",
        "from import\n",
        "import ",
        "def ",
        "softmax ",
        "from import ",
    ],
)
def test_a_cell_of_one_repeated_piece_takes_no_longer_than_another(cell):
    source = "from " + cell * ((MAX_CODE - 5) // len(cell))
    document = {"cells": [{"cell_type": "code", "source": source}]}
    notebook = parse("02.ipynb", json.dumps(document).encode())
    # Quadratic time would be many minutes: the test would not end.
    assert notebook.cell_defining("soft_lookup") is None
    document["cells"].append({"cell_type": "code", "source": " " * len(cell) * 9})
    with pytest.raises(Unreadable, match="more than 64 kB of code"):
        parse("02.ipynb", json.dumps(document).encode())
