"""A report as data: verdicts, points, schema."""
