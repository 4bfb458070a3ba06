"""What authors wrote: an exercise read from its file, its trials, its data, and what is derived from it."""
