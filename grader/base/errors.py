"""The one exception that carries a message for people."""


class DojoError(Exception):
    """Bad input or a bad call.

    Its text says in one line what is wrong, where, and what to do. The command
    line prints that line and exits with 2; a traceback is never shown for it.
    """
