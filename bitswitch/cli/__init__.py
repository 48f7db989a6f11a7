"""The command line: one verb per stage; a command imports what is heavy when it runs."""
