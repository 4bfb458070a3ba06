"""docs/instructors.md: its files are written and its commands run, in its order, on a small class."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path
from zipfile import ZipFile

import pytest
from answers.build import SOFTMAX_MINUS_ONE, with_lines
from dojo import REPOSITORY, dojo

PAGE = (REPOSITORY / "docs" / "instructors.md").read_text(encoding="utf-8")
EX1 = {
    "leeada_1001": with_lines({}),
    "leebo_1002": with_lines({"dh": "dh = -dlogits @ W2.T"}),
    "leecy_LATE_1003": with_lines({}),
    "leedee_1004": "dh = '",
}


def write_class(folder: Path) -> None:
    """Four hand in both exercises, one of them late, one with a file that cannot be read; a fifth hands in nothing."""
    (folder / "my_answer.py").write_text(with_lines({}))
    with ZipFile(folder / "submissions.zip", "w") as archive:
        for number, (who, text) in enumerate(EX1.items()):
            archive.writestr(f"{who}_{7000 + number}_ex1.py", text)
            archive.writestr(f"{who}_{8000 + number}_ex2.py", SOFTMAX_MINUS_ONE)
            place = folder / "submitted" / who / "hw1"
            place.mkdir(parents=True)
            (place / "ex1.py").write_text(text)
    people = [("Lee, Ada", 1001), ("Lee, Bo", 1002), ("Lee, Cy", 1003), ("Lee, Dee", 1004), ("Lee, Eve", 1005)]
    rows = [["Student", "ID", "Section", "Homework 1 (77)"], ["    Points Possible", "", "", "10"]]
    rows += [[name, str(number), "S1", ""] for name, number in people]
    sheet = [["Identifier", "Full name", "Status", "Grade", "Maximum Grade", "Last modified (grade)"]]
    sheet += [[f"Participant {number}", name, "", "", "10.00", "-"] for name, number in people]
    for path, table in (("gradebook.csv", rows), ("worksheet.csv", sheet)):
        with (folder / path).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)


@pytest.mark.slow
def test_a_course_runs_from_a_to_z_as_the_page_says(tmp_path: Path) -> None:
    write_class(tmp_path)
    called = []
    for kind, block in re.findall(r"^```(sh|toml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        if kind == "toml":
            (tmp_path / block.split("\n")[0].removeprefix("# ")).write_text(block)
            continue
        for line in block.splitlines():
            command, *arguments = shlex.split(line)
            if command == "dojo":
                ran = dojo(tmp_path, *arguments)
                # `dojo grade` tells by its exit code that not all is right, or that a file could not be read.
                allowed = (0, 1, 2) if arguments[0] == "grade" else (0,)
                assert ran.returncode in allowed, f"{line}\n{ran.stdout}{ran.stderr}"
                assert "Traceback" not in ran.stderr
                called.append(arguments[0])
    assert called == ["grade", "batch", "summary", "summary", "summary", "feedback", "grade"]
    with (tmp_path / "grades.csv").open(newline="", encoding="utf-8") as file:
        grades = {row["ID"]: row["Homework 1 (77)"] for row in csv.DictReader(file)}
    # 26 + 10 points are 10: Bo's slip is forgiven, Cy has a due date of one's own, Dee's first file cannot be read.
    assert grades == {"": "10", "1001": "10", "1002": "10", "1003": "10", "1004": "2.78", "1005": "0"}
    with (tmp_path / "worksheet-graded.csv").open(newline="", encoding="utf-8-sig") as file:
        sheet = {row["Identifier"]: row["Grade"] for row in csv.DictReader(file)}
    assert {name: float(grade) for name, grade in sheet.items()} == {
        f"Participant {number}": float(grade) for number, grade in grades.items() if number
    }
    page = (tmp_path / "results" / "feedback" / "leebo_1002.html").read_text(encoding="utf-8")
    assert "a slip of the pen" in page
    with ZipFile(tmp_path / "results" / "feedback" / "feedback-for-canvas.zip") as archive:
        assert len(archive.namelist()) == 4
    with (tmp_path / "dojo-grades.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4
