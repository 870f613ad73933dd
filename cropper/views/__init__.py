"""Pictures and pages for people: heat, lettering, ``show``, ``sheet`` and the review page.

Imports every room but ``cli``, ``engine``, ``evaluation`` and ``training``.
"""
