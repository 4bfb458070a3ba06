"""Where reports go: pytest, GitHub, Gradescope, nbgrader."""
