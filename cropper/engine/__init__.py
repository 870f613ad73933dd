"""One photo's stages, and what takes many photos through them: threads, a cluster, a stream.

Imports every room but ``cli``, ``views``, ``evaluation`` and ``training``.
"""
