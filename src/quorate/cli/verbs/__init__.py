"""What may be typed: each verb's words, options and help, and nothing of what it does.

A verb imports its work when it is called, in the first lines of its function. So `quorate VERB --help` and the answer
to a wrong option come in a third of the time that it takes to import the work too.
"""
