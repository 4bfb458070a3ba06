"""Python text, as text: cells, statements, what they read and write. It knows no lesson."""
