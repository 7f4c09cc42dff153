"""What clients hear: superseding, fetching, and whose is whose. The test plays the worker."""

import pytest
from engines import request

from ganpaint_engine.errors import BadRequest, QueueFull
from ganpaint_engine.service import protocol, security
from ganpaint_engine.service import protocol_messages as limits
from ganpaint_engine.service.desk import Desk
from ganpaint_engine.service.results import KeptResults

RESULT = {"type": "RESULT", "name": "x"}
MINE, OTHER = (security.owner(b"", secret) for secret in (b"mine" * 8, b"other" * 8))


class Office(Desk):
    def __init__(self):
        self.sent, self.begun = [], []
        super().__init__(self._note)

    def begin(self):
        """As the worker would: a preview on top of a final."""
        while len(self.queue):
            active = self.queue.active
            if len(active) == len(self.queue):
                return
            job = self.queue.next_passing(active[-1], lambda _: False) if active else None
            if active and job is None:
                return
            self.begun.append(job or self.queue.next())

    def _note(self, peer, header, frames):
        self.sent.append((peer, header["type"], header, frames))

    def ask(self, job_id, owner=MINE, peer=b"p", quality="preview", **keys):
        params = {"concept": "tree", "operation": "add", "quality": quality}
        message = protocol.check(request(job_id, params=params, **keys))
        self.submit(peer, owner, message, [bytes(24), bytes(8)])
        self.begin()

    def finish(self, number=-1, frames=()):
        self.take_report(self.begun[number], RESULT, list(frames))
        self.begin()

    def heard(self, peer=b"p"):
        news = [(kind, header["job_id"]) for to, kind, header, _ in self.sent if to == peer]
        self.sent.clear()
        return news


def test_a_newer_preview_supersedes_the_waiting_and_the_running_one():
    office = Office()
    office.ask("1", slot="layer")
    office.ask("2", slot="layer")
    assert office.heard() == [("QUEUED", "1"), ("SUPERSEDED", "1"), ("QUEUED", "2")]
    assert office.begun[0].stopped.is_set()
    office.ask("3", slot="layer")
    assert office.heard() == [("SUPERSEDED", "2"), ("QUEUED", "3")]
    office.take_report(office.begun[0], office.begun[0].ending, [])
    office.begin()
    office.finish()
    assert office.heard() == [("RESULT", "3")], "what the worker says of the first comes too late"
    assert office.figures()["jobs"]["superseded"] == 2


def test_only_previews_of_the_same_client_and_slot_are_superseded():
    office = Office()
    office.ask("final", quality="final", slot="layer")
    office.ask("other slot", slot="another")
    office.ask("no slot")
    office.ask("other client", owner=OTHER, slot="layer")
    office.ask("mine", slot="layer")
    office.ask("second final", quality="final", slot="layer")  # supersedes the preview, too
    assert ("SUPERSEDED", "mine") in (heard := office.heard())
    assert [kind for kind, _ in heard].count("SUPERSEDED") == 1


def test_a_duplicate_id_supersedes_nothing():
    office = Office()
    office.ask("1", slot="layer")
    with pytest.raises(BadRequest):
        office.ask("1", slot="layer")
    assert not office.begun[0].stopped.is_set()


def test_a_preview_takes_its_predecessors_place_in_a_full_queue():
    office = Office()
    for number in range(1, limits.MAX_CLIENT_JOBS):
        office.ask(str(number), quality="final")
    office.ask("preview", slot="layer")
    with pytest.raises(QueueFull):
        office.ask("too many", slot="other")
    office.ask("next", slot="layer")
    assert office.queue.find(MINE, "next")


def test_a_paused_final_is_cancelled_at_once():
    office = Office()
    office.ask("final", quality="final")
    office.ask("preview")
    final, preview = office.begun
    office.heard()
    office.cancel(MINE, "final")
    assert office.heard() == [("CANCELLED", "final")]
    office.take_report(preview, RESULT, [])
    office.take_report(final, {"type": "PROGRESS", "fraction": 0.5, "stage": "x"}, [])
    office.take_report(final, final.ending, [])
    assert office.heard() == [("RESULT", "preview")], "and it is told once"
    assert office.is_idle


def test_a_running_job_is_cancelled_at_once_whatever_its_step_takes():
    """Loading the model is a single step: neither the person nor the figures wait for its end."""
    office = Office()
    office.ask("1")
    office.ask("next", owner=OTHER, peer=b"o")
    office.heard()
    office.cancel(MINE, "1")
    assert office.heard() == [("CANCELLED", "1")]
    assert office.status(MINE) == {"waiting": 1, "active": 0, "running": None, "stage": ""}
    assert office.figures()["queue"]["jobs"] == 1
    assert len(office.queue) == 2, "but its pictures still count"
    office.finish(0, [b"patch"])
    assert office.heard() == [], "a result that came all the same"
    assert office.begun[-1].job_id == "next"


def test_a_dead_clients_running_job_is_over_at_once():
    office = Office()
    office.ask("1", quality="final")
    office.heard()
    office.drop(b"p")
    assert office.begun[0].stopped.is_set()
    assert office.status(OTHER)["active"] == 0


def test_cancel_and_fetch_know_whose_a_job_is():
    office = Office()
    office.ask("1", quality="final", keep_result=True)
    office.ask("2", quality="final", keep_result=True)
    office.heard()
    for job_id in ("1", "2"):
        office.cancel(OTHER, job_id)
        office.fetch(b"thief", OTHER, job_id)
    assert office.heard(b"thief") == [("FAILED", "1"), ("FAILED", "2")]
    office.finish()
    office.fetch(b"thief", OTHER, "1")
    assert office.heard(b"thief") == [("FAILED", "1")]
    assert office.status(OTHER) == {"waiting": 0, "active": 1, "running": None, "stage": ""}
    assert office.status(MINE)["running"] == "2"


def test_a_kept_result_is_there_for_the_next_connection():
    office = Office()
    office.ask("kept", quality="final", keep_result=True)
    office.ask("lost", quality="final")
    office.heard()
    office.drop(b"p")
    assert not office.begun[0].stopped.is_set()
    assert office.heard() == [], "the waiting one is cancelled, and nobody is there to hear it"
    office.fetch(b"q", MINE, "kept")
    assert office.heard(b"q") == [("QUEUED", "kept")]
    office.drop(b"q")
    office.finish(frames=[b"patch"])
    assert not office.is_idle, "somebody may come for it"
    office.fetch(b"r", MINE, "kept")
    assert office.sent[-1][3] == [b"patch"]
    assert office.heard(b"r") == [("RESULT", "kept")]
    office.fetch(b"r", MINE, "lost")
    assert office.sent[-1][2]["code"] == "unknown_job"
    with pytest.raises(BadRequest):
        office.ask("kept")


def test_keep_result_needs_a_secret():
    office = Office()
    with pytest.raises(BadRequest, match="client_secret"):
        office.ask("1", owner=security.owner(b"peer", None), keep_result=True)
    assert not len(office.queue)


def test_what_is_kept_is_bounded(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ganpaint_engine.service.results.time.monotonic", lambda: now[0])
    kept = KeptResults(3, 100, 10)
    for number in range(5):
        kept.put((MINE, str(number)), {}, [bytes(10)])
    assert len(kept) == 3
    kept.put((MINE, "big"), {}, [bytes(95)])
    assert kept.size == 95
    now[0] = 9
    assert kept.get((MINE, "big"))
    now[0] = 11
    assert kept.get((MINE, "big")) is None
    kept.put((MINE, "too big"), {}, [bytes(101)])
    assert len(kept) == 0


def test_owners_cannot_be_forged():
    secret = b"s" * 32
    assert security.owner(b"1", secret) == security.owner(b"2", secret)
    taken = security.owner(b"1", secret)
    assert security.owner(taken, None) != taken
    assert secret not in taken
