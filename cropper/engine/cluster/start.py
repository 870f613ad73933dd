"""Import Ray, start it or connect to a cluster, and explain in one line why that fails."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Any

from cropper.errors import CropperError, DependencyError, UsageError
from cropper.extras import install_command

# Bytes of Ray's object store. Chunks and answers are small.
_STORE = 128 << 20
# Seconds before an address where nobody answers counts as unreachable.
_PATIENCE = 10.0


def load_ray() -> Any:
    """Import Ray with its usage reports switched off.

    Raises:
        DependencyError: if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # otherwise each worker prints a warning
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DependencyError(f"--engine ray needs a library ({error})", remedy=f"run: {install_command('ray')}") from error
    return ray


def start_ray(ray: Any, jobs: int, address: str | None) -> None:
    """Connect to the cluster at an address, or start one of ``jobs`` cores on this machine. Prints nothing.

    Raises:
        CropperError: if Ray cannot start on this machine.
        UsageError: if no cluster answers at the address.
    """
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # otherwise a late thread would start another cluster
    silent = logging.CRITICAL + 1
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(silent)
    own: dict[str, Any] = {"num_cpus": jobs, "object_store_memory": _STORE, "include_dashboard": False}
    if address is not None:
        _check_reachable(address)
    # Ray replaces the handler of SIGTERM.
    ours = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=silent, **(own if address is None else {}))
    except Exception as error:
        reason = _reason(error)
        if address is None:
            raise CropperError(f"Ray cannot be started here ({reason})", remedy="use --engine local") from error
        raise _unreachable(address, reason) from error
    finally:
        if ours is not None:
            signal.signal(signal.SIGTERM, ours)


def _reason(error: BaseException) -> str:
    """Return the first sentence of an error's root cause, which Ray may hide in the text of a traceback."""
    while (below := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = below
    text = " ".join(str(error).rpartition("Error: ")[2].split())
    return text.split(". ")[0] or type(error).__name__


def _check_reachable(address: str) -> None:
    """Check that the address answers, because Ray itself would try for minutes."""
    host, _, port = address.rsplit("/", 1)[-1].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, str(error)) from error


def _unreachable(address: str, reason: str) -> UsageError:
    remedy = "check --address"
    if "token" in reason.lower():
        remedy = "set RAY_AUTH_MODE=token, with the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    return UsageError(f"no Ray cluster can be reached at {address} ({reason})", remedy=remedy)
