"""The learner's files and habits: watch, sync, hints, memory, train."""
