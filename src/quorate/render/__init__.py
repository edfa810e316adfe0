"""Configuration text from values, pure."""
