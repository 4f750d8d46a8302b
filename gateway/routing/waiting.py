"""Requests that wait instead of failing or moving: for room, for a rest's end, for a probe's outcome.

Bounded and fair: a provider's caps are handed out first come first served, and nobody waits past
its patience. The core only keeps the books; the shell does the waiting and asks who is to wake.
"""

from __future__ import annotations

from gateway.routing.state import ProviderState, RouteState


class Waiting:
    """Everybody who waits, in all routes of one pool."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteState] = {}
        self._queues: dict[str, ProviderState] = {}
        self._woken: dict[str, None] = {}

    def join(self, request: str, route: RouteState, provider: ProviderState | None) -> bool:
        """Begins or goes on waiting; False where too many wait already. `provider`: for its caps."""
        if request not in self._routes:
            if route.waiting >= route.chain.stability.queue_waiters:
                return False
            self._routes[request] = route
            route.waiting += 1
        if provider is None:
            self._leave_queue(request)
        elif request not in provider.queue:
            if len(provider.queue) >= provider.stability.queue_waiters:
                self.leave(request)
                return False
            self._leave_queue(request)
            provider.queue[request] = None
            self._queues[request] = provider
        return True

    def has_room(self, route: RouteState, provider: ProviderState | None) -> bool:
        """Whether one more could wait there."""
        if route.waiting >= route.chain.stability.queue_waiters:
            return False
        return provider is None or len(provider.queue) < provider.stability.queue_waiters

    def leave(self, request: str) -> None:
        """It waits no longer, whatever came of it."""
        route = self._routes.pop(request, None)
        if route is not None:
            route.waiting -= 1
        self._woken.pop(request, None)
        self._leave_queue(request)

    def room(self, provider: ProviderState) -> None:
        """A place may have become free: its first waiter looks again."""
        if provider.queue:
            self._woken[next(iter(provider.queue))] = None

    def news(self) -> None:
        """Something became usable: everybody looks again."""
        for request in self._routes:
            self._woken[request] = None

    def woken(self) -> list[str]:
        """Requests that are to look again, each told once."""
        if not self._woken:
            return []
        found, self._woken = list(self._woken), {}
        return found

    def __len__(self) -> int:
        return len(self._routes)

    def _leave_queue(self, request: str) -> None:
        provider = self._queues.pop(request, None)
        if provider is not None:
            provider.queue.pop(request, None)
            self.room(provider)
