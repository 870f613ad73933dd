"""The parts of the review page; may import model, imaging, choosing, ledger, storage, geometry, settings and errors."""
