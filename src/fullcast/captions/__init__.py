"""Room 3: people -> words."""
