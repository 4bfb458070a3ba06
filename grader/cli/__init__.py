"""The commands of `dojo`."""
