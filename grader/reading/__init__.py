"""What a submission says: which exercises it attempts, and which of its statements run in which order."""
