"""What SUBMISSIONS holds: each course software's layout, and what strangers can do to folders and zips."""

from __future__ import annotations

import os
import socket
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from people import RIGHT, WRONG, hand_in, zipped

from grader.base.errors import DojoError
from grader.batch import archives
from grader.batch.collect import MOST_FILES, Submission, collect

Found = dict[str, Submission]
Lay = Callable[[dict[str, str]], Path]

MOODLE = {
    "Ann Lee_123_assignsubmission_file_/ex1.py": RIGHT,
    "Ann Lee_123_assignsubmission_file_/sub/ex2.py": RIGHT,
    "Ann Lee_123_assignsubmission_onlinetext_/onlinetext.html": "<p>Hello</p>",
    "Bo_Xu_124_assignsubmission_onlinetext_/onlinetext.html": "<p>mine</p>",
    "Cy Day_125_assignsubmission_file_ex1.py": RIGHT,
}
CANVAS = {
    "leeann_1001_5001_ex1_atoms.py": RIGHT,
    "leeann_1001_5002_ex2.ipynb": RIGHT,
    "xubo_LATE_1002_5003_ex1-2.py": RIGHT,
    "dayc_1003_5004_report.pdf": RIGHT,
}
METADATA = """---
submission_11:
  :submitters:
  - :name: Ann Lee
    :sid: '77'
    :email: ann@example.org
  - :name: Bo Xu
    :sid: '78'
    :email: bo@example.org
  :created_at: 2026-01-05 10:00:00.000000000 Z
submission_12:
  :submitters:
  - :name: Cy Day
    :sid:
    :email: cy@example.org
"""
GRADESCOPE = {
    "assignment_9_export/submission_metadata.yml": METADATA,
    "assignment_9_export/submission_11/ex1.py": RIGHT,
    "assignment_9_export/submission_11/ex2.py": RIGHT,
    "assignment_9_export/submission_12/ex1.py": RIGHT,
}
NBGRADER = {
    "submitted/ann/ps1/ex1.ipynb": RIGHT,
    "submitted/ann/ps1/timestamp.txt": "2026-01-05",
    "submitted/ann/ps2/ex2.ipynb": RIGHT,
    "submitted/bo/ps1/ex1.ipynb": RIGHT,
    "source/ps1/ex1.ipynb": RIGHT,
    "gradebook.db": "",
}


def found(path: Path) -> Found:
    """What is collected, read while it is open."""
    with collect(path) as submissions:
        for submission in submissions:
            for item in submission.files:
                item.read()
        return {submission.name: submission for submission in submissions}


def labels(submission: Submission) -> list[str]:
    return [item.label for item in submission.files]


def refusals(path: Path) -> dict[str, str]:
    """For each submission all that is said against its files, those that are told when read among them."""
    told = {}
    with collect(path) as submissions:
        for submission in submissions:
            said = list(submission.problems)
            for item in submission.files:
                try:
                    item.read()
                except DojoError as error:
                    said.append(str(error))
            told[submission.name] = "; ".join(said)
    return told


@pytest.fixture(params=["zip", "folder"])
def lay(request: pytest.FixtureRequest, tmp_path: Path) -> Lay:
    """The same files as a zip and as a folder."""

    def make(files: dict[str, str | bytes]) -> Path:
        return zipped(tmp_path / "all.zip", files) if request.param == "zip" else hand_in(tmp_path / "all", files)

    return make


# ---- Layouts ----


def test_a_file_or_a_folder_for_each_person(lay: Lay) -> None:
    people = found(lay({"ann.py": RIGHT, "bo/ex1.py": RIGHT, "bo/deep/ex2.ipynb": RIGHT, "cy/essay.pdf": ""}))
    assert list(people) == ["ann", "bo", "cy"]
    assert labels(people["bo"]) == ["bo/deep/ex2.ipynb", "bo/ex1.py"]
    assert people["cy"].problems == ("no .py or .ipynb file, only essay.pdf",)


def test_what_software_leaves_behind_is_nobody(lay: Lay) -> None:
    rubbish = [
        "__MACOSX/ann/._ex1.py",
        ".DS_Store",
        ".git/x.py",
        "ann/.ipynb_checkpoints/ex1.py",
        "ann/__pycache__/a.py",
        "Thumbs.db",
        "desktop.ini",
        "~$essay.docx",
    ]
    people = found(lay({"ann/ex1.py": RIGHT, "bo.py": RIGHT, **dict.fromkeys(rubbish, "")}))
    assert {name: labels(person) for name, person in people.items()} == {"ann": ["ann/ex1.py"], "bo": ["bo.py"]}


def test_moodle(lay: Lay) -> None:
    people = found(lay(MOODLE))
    assert list(people) == ["Ann Lee_123", "Bo_Xu_124", "Cy Day_125"]
    assert (people["Ann Lee_123"].person.student, people["Ann Lee_123"].person.student_id) == ("Ann Lee", "123")
    assert len(people["Ann Lee_123"].files) == 2
    assert people["Ann Lee_123"].problems == ()
    assert "only onlinetext.html" in people["Bo_Xu_124"].problems[0]


def test_moodle_with_one_person(lay: Lay) -> None:
    assert list(found(lay({"Ann Lee_123_assignsubmission_file_/ex1.py": RIGHT}))) == ["Ann Lee_123"]


def test_canvas(lay: Lay) -> None:
    people = found(lay(CANVAS))
    assert list(people) == ["dayc_1003", "leeann_1001", "xubo_1002"]
    assert people["xubo_1002"].person.student_id == "1002"
    assert len(people["leeann_1001"].files) == 2
    assert people["dayc_1003"].problems


def test_names_that_only_look_like_canvas(lay: Lay) -> None:
    assert list(found(lay({"hw_3_1_ann.py": RIGHT, "hw_3_1_bo.py": RIGHT}))) == ["hw_3_1_ann", "hw_3_1_bo"]


def test_gradescope(lay: Lay) -> None:
    people = found(lay(GRADESCOPE))
    assert list(people) == ["submission_11", "submission_12"]
    first, second = (people[name].person for name in people)
    assert (first.student, first.student_id) == ("Ann Lee, Bo Xu", "77")
    assert (second.student, second.student_id) == ("Cy Day", "cy@example.org")


@pytest.mark.parametrize("inside", ["", "submitted"])
def test_nbgrader(tmp_path: Path, inside: str) -> None:
    people = found(hand_in(tmp_path, NBGRADER) / inside)
    assert list(people) == ["ann/ps1", "ann/ps2", "bo/ps1"]
    assert people["ann/ps2"].person.student == "ann"


@pytest.mark.parametrize("inside", ["", "submitted"])
def test_one_file_astray_makes_no_other_layout_of_nbgrader_s(tmp_path: Path, inside: str) -> None:
    with collect(hand_in(tmp_path, {**NBGRADER, "submitted/notes.txt": "mine"}) / inside) as submissions:
        assert submissions.layout == "nbgrader's"
        assert [one.name for one in submissions] == ["ann/ps1", "ann/ps2", "bo/ps1", "notes.txt"]
        assert submissions.notes == ("the layout is nbgrader's; not in its form, so taken as they are: notes.txt",)


def test_a_zip_of_one_folder_that_holds_everybody(tmp_path: Path) -> None:
    assert list(found(zipped(tmp_path / "a.zip", {"all/ann.py": RIGHT, "all/bo/ex1.py": RIGHT}))) == ["ann", "bo"]
    assert list(found(hand_in(tmp_path / "all", {"ann/ex1.py": RIGHT, "ann/ex2.py": RIGHT}))) == ["ann"]


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_csv_of_paths(tmp_path: Path, mark: str) -> None:
    hand_in(tmp_path, {"x/1.py": RIGHT, "x/2.py": RIGHT, "y/ex1.ipynb": RIGHT, "y/ex2.py": RIGHT})
    rows = ["Name,Path,Mark", "Ann,x/1.py,", "Ann,x/2.py,", "Bo,y,", "Cy,gone.py,"]
    (tmp_path / "all.csv").write_text("\ufeff" + "\n".join(rows).replace(",", mark))
    people = found(tmp_path / "all.csv")
    assert {name: labels(person) for name, person in people.items()} == {
        "Ann": ["x/1.py", "x/2.py"], "Bo": ["y/ex1.ipynb", "y/ex2.py"], "Cy": [],
    }  # fmt: skip
    assert people["Cy"].problems == ("gone.py: no such file or folder",)


def test_an_empty_row_is_nobody_and_half_a_row_is_told_by_what_it_has(tmp_path: Path) -> None:
    hand_in(tmp_path, {"ann/ex2.py": RIGHT})
    table = tmp_path / "all.csv"
    table.write_text("name,path\n\nann,ann\n,\n")
    assert list(found(table)) == ["ann"]
    table.write_text("name,path\n\nann,ann\nbo,\n")
    with pytest.raises(DojoError, match="the row of bo has no path"):
        found(table)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "name,path\n", "name,path\n,x.py\n", 'name,path\n"x,y\n'])
def test_a_csv_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "all.csv").write_text(text)
    with pytest.raises(DojoError, match=r"all\.csv"):
        found(tmp_path / "all.csv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name,path\n"ann,ann\n\nbo,"bo"\n', r"all\.csv:2: from here on not a CSV file \(.*; look at its quotation"),
        (b'\nsep=;\nname;path\nann;ann\n"bo;bo\n', r"all\.csv:5: from here on not a CSV file"),
        (b"name,path\nLee, Ann,ann\n", r"all\.csv:2: has 3 cells, and the first line 2; a cell with a comma in it"),
        (b"PK\3\4\0\0", r"all\.csv: is a workbook, not a table as text; save it as CSV UTF-8"),
        (b"name,path\nann\0,J\xfcrgen\n", r"all\.csv:2: not UTF-8 text"),
        (b"name,path\nann,\x81\n", r"all\.csv:2: not UTF-8 text"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "all.csv").write_bytes(content)
    with pytest.raises(DojoError, match=said):
        found(tmp_path / "all.csv")


@pytest.mark.parametrize(
    ("start", "encoding", "notes"),
    [
        ("", "utf-8", ()),
        ("sep=,\n", "utf-8-sig", ()),
        ('"sep=,"\r\n', "utf-16", ()),
        ("", "cp1252", ("line 3: Jürgen, line 3: Groß, line 4: José. If not, save it as CSV UTF-8",)),
    ],
)
def test_a_csv_as_a_spreadsheet_saves_it(tmp_path: Path, start: str, encoding: str, notes: tuple[str, ...]) -> None:
    hand_in(tmp_path, {"ann/ex1.py": RIGHT})
    text = f'{start}name,path,\nAnn,ann,\n"Jürgen Groß",ann\nJosé,ann\n'
    (tmp_path / "all.csv").write_bytes(text.encode(encoding))
    with collect(tmp_path / "all.csv") as people:
        assert [person.name for person in people] == ["Ann", "José", "Jürgen Groß"]
        assert len(people.notes) == len(notes)
        assert all(note.endswith(end) for note, end in zip(people.notes, notes, strict=True))


@pytest.mark.parametrize("name", ["a.tar.gz", "a.7z"])
def test_an_archive_that_is_not_opened_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DojoError, match="; unpack it, and give the folder"):
        found(tmp_path / name)


@pytest.mark.parametrize("name", ["gone", "one.py", "text.txt", "empty", "broken.zip", "empty.zip"])
def test_what_is_no_collection_is_bad_input(tmp_path: Path, name: str) -> None:
    hand_in(tmp_path, {"one.py": RIGHT, "text.txt": "", "empty/.x": "", "broken.zip": "PK not really"})
    zipped(tmp_path / "empty.zip", {})
    with pytest.raises(DojoError, match=name):
        found(tmp_path / name)


# ---- Folders of strangers ----


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    secret = hand_in(tmp_path, {"secret.py": RIGHT}) / "secret.py"
    root = hand_in(tmp_path / "all", {"ann/ex1.py": RIGHT, "bo/ex1.py": RIGHT, "cy/a.py": RIGHT, "dee/a.py": RIGHT})
    (root / "ann/out.py").symlink_to(secret)
    (root / "ann/outside").symlink_to(tmp_path)
    (root / "bo/again.py").symlink_to("ex1.py")
    (root / "cy/gone.py").symlink_to("/nowhere.py")
    (root / "top.py").symlink_to(root / "bo/ex1.py")
    os.mkfifo(root / "dee/pipe.py")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "dee/door.py"))
        people = found(root)
    assert labels(people["ann"]) == ["ann/ex1.py"]
    assert sum("leads out" in problem for problem in people["ann"].problems) == 2
    assert (labels(people["bo"]), people["bo"].problems) == (["bo/ex1.py"], ())
    assert "leads out" in people["cy"].problems[0]
    assert people["top"].files == (), "one person's file is not another's"
    assert sum("not a plain file" in problem for problem in people["dee"].problems) == 2


def test_a_pipe_that_a_csv_names_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "all.csv").write_text("name,path\nann,pipe.py\n")
    assert "not a plain file" in refusals(tmp_path / "all.csv")["ann"]


def test_a_file_that_is_too_large_and_one_that_is_too_deep(tmp_path: Path) -> None:
    root = hand_in(tmp_path, {"ann.py": "", "bo/" + "d/" * 30 + "ex1.py": RIGHT})
    os.truncate(root / "ann.py", 21_000_000)
    told = refusals(root)
    assert "larger than 20 MB" in told["ann"]
    assert "folders deep" in told["bo"]


def test_too_many_files_of_one_person(lay: Lay) -> None:
    people = found(lay({f"ann/{n}.py": RIGHT for n in range(MOST_FILES + 1)} | {"bo.py": RIGHT}))
    assert people["ann"].files == ()
    assert str(MOST_FILES) in people["ann"].problems[0]
    assert people["bo"].files


def test_names_are_shown_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    hand_in(tmp_path / os.fsdecode(b"J\xe9\x1b[31m\nx"), {"ex1.py": RIGHT})
    (name,) = found(tmp_path)
    assert name == "J\\xe9\\x1b[31m\\nx"


# ---- Zips of strangers ----


def test_members_that_must_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    link = zipfile.ZipInfo("ann/link.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ann/ex1.py", RIGHT)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bo/../../evil.py", RIGHT)
        archive.writestr("/etc/cy.py", RIGHT)
        archive.writestr("C:\\dee.py", RIGHT)
        archive.writestr("eve/ex1.py", RIGHT)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("eve/ex1.py", WRONG)
        archive.writestr("fay/work.zip", b"PK")
        archive.writestr(zipfile.ZipInfo(""), RIGHT)
        archive.writestr("gus/ex1.py", RIGHT, compress_type=zipfile.ZIP_LZMA)
    told = refusals(path)
    assert told["ann"] == "ann/link.py: a link; hand in the file itself"
    assert sum("leads out" in words for words in told.values()) == 3
    assert "2 times" in told["eve"]
    assert "an archive is not opened" in told["fay"]
    assert "not read" in told["gus"]
    assert labels(found(path)["ann"]) == ["ann/ex1.py"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip"], "nothing is unpacked"


def test_backslashes_between_folders_as_windows_powershell_packs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("ann\\ex1.py", "ann\\ex2.py", "bo\\ex1.py", "cy\\..\\..\\evil.py"):
            member = zipfile.ZipInfo(name)
            member.create_system = 0
            archive.writestr(member, RIGHT)
    people = found(tmp_path / "all.zip")
    assert {name: labels(person) for name, person in people.items()} == {
        "ann": ["ann/ex1.py", "ann/ex2.py"], "bo": ["bo/ex1.py"], "cy/../../evil": [],
    }  # fmt: skip
    assert "leads out" in people["cy/../../evil"].problems[0]


def patched(path: Path, offset_in_central: int, form: str, value: int, name: str) -> None:
    """Change a field of a member's entry in the central directory and in its local header."""
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    struct.pack_into(form, data, central + offset_in_central, value)
    (local,) = struct.unpack_from("<I", data, central + 42)
    struct.pack_into(form, data, local + offset_in_central - 2, value)
    path.write_bytes(data)


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", {"ann.py": RIGHT, "bo.py": RIGHT})
    patched(path, 8, "<H", 1, "bo.py")
    assert refusals(path) == {"ann": "", "bo": "bo.py: encrypted; hand it in without a password"}


def test_a_member_that_is_damaged(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", {"ann.py": RIGHT, "bo.py": RIGHT})
    patched(path, 16, "<I", 12345, "bo.py")
    told = refusals(path)
    assert told["ann"] == ""
    assert "damaged in the archive" in told["bo"]


def test_a_bomb_is_bounded_by_what_comes_out_and_not_by_what_it_says(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", {"ann.py": RIGHT, "bo.py": b"#" * 60_000_000})
    patched(path, 24, "<I", 100, "bo.py")  # it says that it holds 100 bytes
    told = refusals(path)
    assert told["ann"] == ""
    assert "damaged" in told["bo"] or "larger than 20 MB" in told["bo"]
    honest = zipped(tmp_path / "honest.zip", {"bo.py": b"#" * 60_000_000, "cy.py": RIGHT})
    assert "larger than 20 MB" in refusals(honest)["bo"]


def test_a_bomb_of_many_files_is_bounded_in_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 2_500_000)
    told = refusals(zipped(tmp_path / "all.zip", {f"p{n}.py": b"#" * 1_000_000 for n in range(6)}))
    assert [("unpacks to more" in words) for words in told.values()] == [False] * 3 + [True] * 3


def test_names_in_a_zip_that_are_not_marked_as_utf_8(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", {"Joxx.py": RIGHT, "Mixx.py": RIGHT, "ok.py": RIGHT})
    # The first as macOS packs it, the second as old Windows does.
    path.write_bytes(path.read_bytes().replace(b"Joxx.py", b"Jo\xc3\xa9.py").replace(b"Mixx.py", b"Mi\x82x.py"))
    assert list(found(path)) == ["Joé", "Miéx", "ok"]


def test_a_zip_with_a_name_that_says_utf_8_and_is_not(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", {"ann.py": RIGHT, "boxx.py": RIGHT})
    path.write_bytes(path.read_bytes().replace(b"boxx.py", b"bo\xff\xfe.py"))
    patched_flags = bytearray(path.read_bytes())
    at = patched_flags.rindex(b"PK\x01\x02")
    struct.pack_into("<H", patched_flags, at + 8, 0x800)
    path.write_bytes(patched_flags)
    with pytest.raises(DojoError, match="not UTF-8"):
        found(path)


def test_a_metadata_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", GRADESCOPE | {"assignment_9_export/submission_metadata.yml": "a: [b\n: c"})
    with pytest.raises(DojoError, match="not a readable YAML"):
        found(path)
