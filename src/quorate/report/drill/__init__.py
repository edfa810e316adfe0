"""What a drill measured, in tables and on a page."""
