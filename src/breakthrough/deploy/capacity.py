"""How much a service takes on."""

from __future__ import annotations

from dataclasses import dataclass

from breakthrough.errors import ConfigError, expected


@dataclass(frozen=True)
class Limits:
    """How much the service takes on.

    Units:  workers threads; max_batch pictures; max_wait_ms for company; queue requests that may wait;
            timeout_s from a request's first byte to its answer
    Raises: ConfigError for numbers that no service can have
    """

    workers: int = 1
    max_batch: int = 32
    max_wait_ms: float = 0.0
    queue: int = 256
    timeout_s: float = 5.0
    max_body_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        """Refuse numbers that no service can have."""
        for name in ("workers", "max_batch", "queue", "max_body_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(expected(f"{name} of at least 1", getattr(self, name)))
        if not 0 < self.timeout_s < 3600 or not 0 <= self.max_wait_ms <= 1000 * self.timeout_s:
            got = f"{self.timeout_s} s and {self.max_wait_ms} ms"
            raise ConfigError(expected("a timeout above 0 and a wait from 0 up to it", got))

    @property
    def open(self) -> int:
        """The most requests at a time: those that wait, and those that are computed."""
        return self.queue + self.workers * self.max_batch
