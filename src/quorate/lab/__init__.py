"""Simulated hosts on this machine; gives back an ordinary inventory, so nothing else knows that it exists."""
