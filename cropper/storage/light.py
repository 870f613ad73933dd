"""Frozen dataclasses of which a run makes several for each photo, be that as it was.

mypy keeps them frozen. Python does not, so it makes one three times as fast: a frozen one is set field by field through
``object.__setattr__``, which took a seventh of a run that finds everything done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as light_dataclass
else:
    import dataclasses

    def light_dataclass(frozen: bool) -> Any:
        """Return the decorator ``dataclass``; ``frozen`` is True, and its values are equal and hashable by their fields."""
        return dataclasses.dataclass(unsafe_hash=frozen)


__all__ = ["light_dataclass"]
