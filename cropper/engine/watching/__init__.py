"""Watch a folder: a batch that does not end. Imports the same rooms as ``engine``."""
