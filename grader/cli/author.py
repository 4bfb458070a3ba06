"""The commands of those who write lessons."""

from __future__ import annotations

import click


@click.group(no_args_is_help=True)
def author() -> None:
    """For authors: derive exercises and notebooks, and prove them."""


@author.command()
def build() -> None:
    """Derive exercises/ and notebooks/ from solutions/."""
    from grader.lesson.derive import build as derive_all

    for path in derive_all():
        click.echo(f"written: {path}")


@author.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Prove the content: no diff, every stub fails, every solution passes, every gradient has its hints."""
    from grader.learner.author_check import check as prove_content

    context.exit(prove_content(click.echo))
