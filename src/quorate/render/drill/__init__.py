"""What a drill has hosts do: to break something, to heal it, and to tell what they see meanwhile."""

DID = "quorate-drill-did"
"""What a line begins with by which a host says what it does, where that is its own choice."""
FOUND = "quorate-drill-found"
"""What a line begins with by which a host says, when it is healed, what should not have happened."""
