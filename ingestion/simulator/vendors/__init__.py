"""What each vendor makes of the world: the state of its records, and the API that shows it."""
