"""The Python interface. Imports what the command line imports, and not the command line."""
