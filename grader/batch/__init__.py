"""Many submissions: found, graded side by side, written down so that a run can be killed and go on."""
