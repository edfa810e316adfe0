"""Programs built from Go modules by the ordinary go command: what is built, its locks, its toolchain, the build."""
