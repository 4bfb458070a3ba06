"""A report as text, page or picture."""
