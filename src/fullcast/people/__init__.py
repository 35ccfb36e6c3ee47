"""Room 2: images -> people with names."""
