"""The README's map of tracks says what solutions/ holds."""

from __future__ import annotations

from pathlib import Path

from grader.lesson.tracks import all_tracks, duration, minutes_of

README = Path(__file__).resolve().parents[1] / "README.md"


def rows_of_lessons() -> list[str]:
    """A row for each lesson: the file, what it is about, what is graded, and how long it takes."""
    rows = []
    for track in all_tracks():
        rows.append(f"| **{track.title}** | {track.about} | | {duration(track.minutes)} |")
        for lesson in track.exercises:
            topic = lesson.title.partition(": ")[2]
            rows.append(f"| `{lesson.id}.py` | {topic} | {len(lesson.graded)} | {duration(minutes_of(lesson) or 0)} |")
    return rows


def test_the_map_of_tracks_is_that_of_the_lessons() -> None:
    expected = rows_of_lessons()
    lines = README.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line in expected]
    assert found == expected, "the table of README.md has to read:\n" + "\n".join(expected)
