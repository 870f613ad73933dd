"""What people look at; views may import model, imaging, choosing, ledger, storage, geometry, settings and errors."""
