"""The commands of those who grade other people's work."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
