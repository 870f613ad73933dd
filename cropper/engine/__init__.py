"""The stages of a photo, and the engines that take many photos through them: threads, processes, a cluster, a stream.

Imports every room but ``cli``, ``views``, ``evaluation`` and ``training``.
"""
