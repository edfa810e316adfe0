"""The only way to a host: SSH, and a model host for tests."""
