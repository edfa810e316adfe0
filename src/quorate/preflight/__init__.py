"""Before the first change: every host is looked at, and all that speaks against going on is told at once."""
