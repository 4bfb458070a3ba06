"""The attacks, by what they try. Each is declared once, here."""

from __future__ import annotations

from tests.attacks.attack import Attack
from tests.attacks.corpus import (
    archives,
    autograd,
    doors,
    ending,
    floods,
    forging,
    names,
    network,
    patching,
    reading,
    running,
    shown,
    sources,
    tensors,
    tunnels,
    writing,
)

TOPICS: dict[str, tuple[Attack, ...]] = {
    "Autograd": autograd.ATTACKS + doors.ATTACKS,
    "Round the guards": tunnels.ATTACKS,
    "Reading solutions, truth and secrets": reading.ATTACKS,
    "Forging messages and reports": forging.ATTACKS,
    "Patching torch and Python": patching.ATTACKS,
    "Ending, hanging and crashing": ending.ATTACKS,
    "Floods": floods.ATTACKS,
    "Network, files and processes": network.ATTACKS + writing.ATTACKS + running.ATTACKS,
    "Strange tensors": tensors.ATTACKS,
    "Hostile files": sources.ATTACKS,
    "File names and links": names.ATTACKS,
    "Archives and folders of a course": archives.ATTACKS,
    "What people see": shown.ATTACKS,
}
ATTACKS: tuple[Attack, ...] = tuple(attack for topic in TOPICS.values() for attack in topic)
