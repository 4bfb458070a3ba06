"""Processes for learners' code, and their limits. No true gradient is known here before an answer is handed over."""
