"""Keys and certificates: the table of what is needed, and how it is made."""
