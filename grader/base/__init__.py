"""What every room stands on: errors, files, and text that is safe to show."""
