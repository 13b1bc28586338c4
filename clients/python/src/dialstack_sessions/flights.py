"""Calls that several callers of a process make at once with the same arguments are made once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from .errors import SessionError

T = TypeVar("T")


class Flights:
    """For threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # None in a future: its call ended without an answer for others (an interrupt, say).
        self._flying: dict[Hashable, Future[tuple[Any, SessionError | None] | None]] = {}

    def share(self, key: Hashable, work: Callable[[], T]) -> T:
        while True:
            with self._lock:
                future = self._flying.get(key)
                if future is None:
                    mine = self._flying[key] = Future()
                    break
            if (landed := future.result()) is not None:
                answer, error = landed
                if error is not None:
                    raise error.copy()
                return cast(T, answer)
        landed = None
        try:
            result = work()
            landed = (result, None)
            return result
        except SessionError as error:
            landed = (None, error.copy())
            raise
        finally:
            with self._lock:
                del self._flying[key]
            mine.set_result(landed)


class AsyncFlights:
    """For the tasks of an event loop. A cancelled caller does not cancel the call: others wait for it, and the server
    may have done it already."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[Any]] = {}

    async def share(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        key = (asyncio.get_running_loop(), key)
        task = self._flying.get(key)
        if task is None:
            task = self._flying[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._landed(key, done))
        failure = None
        try:
            return cast(T, await asyncio.shield(task))
        except SessionError as error:
            failure = error.copy()
        raise failure

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._flying[key]
        if not task.cancelled():
            task.exception()  # seen, also where every caller was cancelled
