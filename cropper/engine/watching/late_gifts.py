"""What a person gives by hand while a watch goes on, as ``ledger.handover`` has it."""

from __future__ import annotations

from collections.abc import Callable

from cropper.ledger.session import Session

# Seconds between two looks.
BETWEEN_LOOKS = 0.5


class LateGifts:
    """Looks from time to time for what was given by hand.

    Args:
        session: of the watch.
        is_in_hand: whether a photo is still to be made.

    Attributes:
        next_look: when to look again.
    """

    def __init__(self, session: Session, is_in_hand: Callable[[str], bool]) -> None:
        self.session, self.is_in_hand = session, is_in_hand
        self.next_look = 0.0

    def taken(self, now: float) -> set[str]:
        """Take in what was given since the last look, if it is time to look; return the photos, which are to be made."""
        if now < self.next_look:
            return set()
        self.next_look = now + BETWEEN_LOOKS
        state, handed = self.session.state, self.session.handed
        if handed:
            state.commit()
            handed.leave(self.is_in_hand)
        if found := handed.take(state.gifts, state.run):
            state.commit()
        return found
