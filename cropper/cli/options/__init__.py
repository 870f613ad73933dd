"""The options that commands share, the types of their values, and what becomes of them. Imports no command."""
