"""The only door to a host: SSH, and a model host for tests."""
