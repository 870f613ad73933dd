"""The commands, one a file. The module of a command has its function, and is imported when the command is called."""
