"""Where binaries, packages and images come from, verified and cached."""
