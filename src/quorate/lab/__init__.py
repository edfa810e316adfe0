"""Simulated hosts on this machine, given back as an ordinary inventory."""
