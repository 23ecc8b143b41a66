"""How a GPU job speaks: every event goes to a file at once and to the service as soon as it listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx

from functions.model.events import SEQ_STRIDE, Body, Event
from functions.model.job_spec import JobSpec
from gpu_jobs.event_spool import Spool, spools
from gpu_jobs.service import Service, may_succeed_later

log = logging.getLogger(__name__)

_BATCH_EVENTS = 200
_BATCH_BYTES = 1 << 20
_BACKOFF_SECONDS = (0.5, 30.0)
# News within this time travel together.
_GATHER_SECONDS = 0.2


class EventWriter:
    """Writes this attempt's events and sends them in the background; emitting never waits for the network.

    The file is the source: what the service has not acknowledged is read from it again, for as long as it takes.
    What earlier attempts left unsent goes first, signed with this attempt's token. `on_stop` is called, in the
    sending thread, where the service answers that the run is to stop; it is given what was asked for.
    """

    def __init__(
        self,
        spec: JobSpec,
        token: str,
        clock: Callable[[], datetime],
        on_stop: Callable[[str], None] = lambda _: None,
    ) -> None:
        work_dir = Path(spec.work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        self._spec = spec
        self._clock = clock
        self._lock = threading.Lock()
        all_spools = spools(work_dir, spec.attempt)
        self._own = all_spools[-1]
        last = self._own.last_line()
        self._seq = max(Event.model_validate_json(last).seq if last else 0, (spec.start - 1) * SEQ_STRIDE)
        service = Service.of(spec, token)
        self._sender = _Sender(all_spools, service, on_stop) if service else None

    def emit(self, body: Body, *, at: datetime | None = None) -> Event:
        """Write one event, of now unless it is known to be of another time; it is in the file when this returns."""
        with self._lock:
            event = Event(
                job_id=self._spec.job_id,
                attempt=self._spec.attempt,
                seq=self._seq + 1,
                at=at or self._clock(),
                body=body,
            )
            self._own.append(event.model_dump_json())
            self._seq = event.seq
        if self._sender:
            self._sender.wake()
        return event

    def close(self, timeout: float) -> bool:
        """Send what is left, for at most `timeout` seconds; returns whether everything was acknowledged."""
        return self._sender.close(timeout) if self._sender else True


class _Sender:
    """The thread that posts. Trouble never reaches the training: it is logged and tried again."""

    def __init__(self, queue: list[Spool], service: Service, on_stop: Callable[[str], None]) -> None:
        self._queue = queue
        self._on_stop = on_stop
        self._service = service
        self._news = threading.Event()
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._limit = _BATCH_EVENTS
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._news.set()
        self._thread.start()

    def wake(self) -> None:
        self._news.set()

    def close(self, timeout: float) -> bool:
        self._closing.set()
        self._news.set()
        self._thread.join(timeout)
        self._given_up.set()
        drained = not any(spool.waiting for spool in self._queue)
        if not drained:
            log.warning("Some events could not be sent; they stay in the work folder and follow later.")
        return drained

    def _run(self) -> None:
        delay = _BACKOFF_SECONDS[0]
        while True:
            spool = next((spool for spool in self._queue if spool.waiting), None)
            if spool is None:
                if self._closing.is_set():
                    self._service.close()
                    return
                self._news.wait()
                self._closing.wait(_GATHER_SECONDS)
                self._news.clear()
            elif self._send(spool):
                delay = _BACKOFF_SECONDS[0]
            else:
                if self._closing.wait(delay) and self._given_up.wait(_BACKOFF_SECONDS[0]):
                    return  # while closing there is no time for long pauses, and an end to all of them
                delay = min(delay * 2, _BACKOFF_SECONDS[1])

    def _send(self, spool: Spool) -> bool:
        """Post the next batch; returns whether it is off our hands."""
        lines = spool.pending(self._limit, _BATCH_BYTES)
        body = b'{"events":[' + b",".join(line.rstrip(b"\n") for line in lines) + b"]}"
        try:
            answer = self._service.post("events", body)
        except httpx.HTTPError as error:
            log.info("The service cannot be reached, events wait: %s", error)
            return False
        if answer.is_success:
            self._limit = _BATCH_EVENTS
            spool.acknowledge(len(lines))
            self._heed(answer)
            return True
        if may_succeed_later(answer.status_code) or answer.is_redirect:
            log.info("The service answered %s, events wait.", answer.status_code)
            return False
        return self._refused(spool, len(lines), answer)

    def _heed(self, answer: httpx.Response) -> None:
        try:
            stop = answer.json().get("stop")
        except (ValueError, AttributeError):
            return  # something between us answered: nobody asked for anything
        if stop:
            self._on_stop(str(stop))

    def _refused(self, spool: Spool, count: int, answer: httpx.Response) -> bool:
        """Halve a refused batch until the event that is to blame stands alone; that one is given up."""
        if count > 1 and answer.status_code in {400, 413, 422}:
            self._limit = count // 2
            return True
        log.error("The service refused %d events for good: %s %s", count, answer.status_code, answer.text[:300])
        spool.acknowledge(count)
        return True
