"""The engine for several machines, on Ray. Imports the same rooms as ``engine``, and ``ray`` where a run asks for it."""
