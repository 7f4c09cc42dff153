"""The text of docs/protocol.md, made from the tables of protocol.py and errors.py."""

from __future__ import annotations

import pprint
from collections.abc import Iterable, Iterator

from ganpaint_engine import errors
from ganpaint_engine.service import lifecycle, protocol
from ganpaint_engine.service import protocol_messages as messages
from ganpaint_engine.service.protocol import Field, Message
from ganpaint_engine.service.protocol_example import NONCE, TOKEN, exchange


def _table(*rows: tuple[object, ...]) -> str:
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


_STATES = _table(*((f"`{state}`", *texts) for state, texts in messages.STATES.items()))
_TRANSITIONS = _table(*messages.TRANSITIONS)
_LIMITS = _table(
    *((f"`{k}`", messages.LIMITS[k], text) for k, text in messages.LIMIT_MEANINGS.items())
)
_CAPABILITIES = _table(*((f"`{name}`", text) for name, text in messages.CAPABILITIES.items()))
_STAGES = _table(*((f"`{name}`", text) for name, text in messages.STAGES.items()))

_HEAD = f"""\
# The protocol, version {protocol.VERSION}

<!-- Printed from the code: python -m ganpaint_engine.service.protocol > docs/protocol.md -->

How a plug-in or a script talks to a running engine. Python has two clients for it:
`ganpaint_engine.client` (pyzmq) and `plugins/bridge/ganpaint_bridge` (standard library alone).

## Finding the engine

A running engine writes `runtime.json` into its runtime folder (mode 0700; `ganpaint doctor` tells
where; `$GANPAINT_HOME/runtime` where that is set). The file has mode 0600, appears in one step once
the engine listens, and is removed when it leaves:

    {{"endpoint": "tcp://127.0.0.1:PORT", "token": "64 hexadecimal digits", "pid": 1234,
     "protocol": "{protocol.VERSION}", "started_at": seconds since the epoch}}

The port is picked by the system. The file of an engine that crashed stays behind: a client looks
whether process `pid` lives, and takes no file that another user owns or could read. The lock
`engine.lock` beside it lets one engine run at a time; a second one steps aside. An engine that had
no work for {lifecycle.DEFAULT_IDLE_MINUTES:.0f} minutes leaves (`idle_minutes` in the settings; 0:
never).

## Identification

ZeroMQ ROUTER at the engine, DEALER at the client, mechanism PLAIN with user name `ganpaint`. The
token itself is never sent. With `token` as its 32 bytes:

- password = HMAC-SHA256(token, `password`), in hexadecimal;
- `WELCOME.proof` = HMAC-SHA256(token, `proof:` + `HELLO.nonce`), 32 bytes.

A client sends no picture before it has checked the proof. A stranger who listens on a port that an
engine has left can learn the password of that engine that is no more, and cannot make the proof
from it. A wrong password ends the handshake with PLAIN's ERROR, status 400 (libzmq 4.3 misspells
the command as `^RROR`). The engine listens on 127.0.0.1 only and encrypts nothing.

## Versions

`HELLO` and `WELCOME` carry `MAJOR.MINOR`. Another MAJOR is refused with `protocol_mismatch`, whose
message names both versions; a newer or older MINOR is welcome. Within a MAJOR, messages and keys
are only added: unknown keys are ignored, keys with a default may be left out or nil, a client
ignores messages of a type that it does not know, and what an engine can do is in
`WELCOME.capabilities`.

## Messages

A message is one frame with a header, a msgpack map whose `type` is the message's, and the raw
frames that this type has. Pixels are never inside msgpack. Every size is checked before anything
is made of it.

    HELLO   -> WELCOME | ERROR
    SUBMIT  -> QUEUED* -> PROGRESS* -> RESULT | FAILED | CANCELLED | SUPERSEDED
    FETCH   -> the last of these about the job, and those that follow
    CANCEL     STATUS -> STATUS_REPLY     STATS -> STATS_REPLY
    LOOKS   -> LOOKS_REPLY                SHUTDOWN -> GOODBYE

`FAILED` answers a `SUBMIT` that cannot be taken; where that is because a job of this id is alive
or its result is kept (`bad_request`), that one goes on. A message that is not about a job is
answered by `ERROR`. After any of these the engine answers the next message.

## Jobs

A client is its connection, or, with `HELLO.client_secret`, whoever knows that secret. Only the
client of a job can hear of it, cancel it or fetch it; nobody else is told that it exists.

- **Order.** Previews come before finals, and clients take turns, one job each. One job is worked on
  at a time. A final is paused between two optimisation steps while the previews that wait then are
  worked on; those that come meanwhile wait for its next step: a preview waits for no more than one
  step of a final, and previews without end do not keep a final from being done. In the same way
  previews that take about a step themselves pass one that takes long, and never each other.
- **Position.** A preview's is the number of previews that were asked for before it and are not
  done; finals are not counted, for it passes them. A final's is the number of jobs that come
  before it.
- **Slots.** A `SUBMIT` with a `slot` supersedes this client's previews of that slot that are not
  done. Finals are never superseded.
- **Stopping.** `CANCEL` may come at any time and may come twice. The job's end
  is told at once; what is computed of it ends at its next optimisation step. A client that
  goes, in whatever way, has its jobs cancelled: closing the connection is a cancel too.
- **Keeping.** With `keep_result` a job goes on without its connection. Its last message is kept
  within the limits below, also after it was sent; an engine with kept results does not leave for
  idleness. Results are kept in memory only.
- **Fullness.** A `SUBMIT` beyond the limits fails with `queue_full`; `detail` says how many jobs
  wait and how many may.

| state | meaning | told by |
|---|---|---|
{_STATES}
| what happens | from | to |
|---|---|---|
{_TRANSITIONS}
## Photos

A photo is opened once: what was computed of it is kept under the hash of its pixels, in memory and
in the cache folder (`ganpaint cache show`), for the next edit of it by any client. The photo
itself is never written anywhere. With `keep_photo` false, or `"keep_photos": false` in the
settings, nothing of it is kept once the job is over.

## Limits

`WELCOME.limits` has these keys and the engine's own values:

| limit | value | |
|---|---|---|
{_LIMITS}
## Capabilities

| in `WELCOME.capabilities` | |
|---|---|
{_CAPABILITIES}
## Stages

| `PROGRESS.stage` | |
|---|---|
{_STAGES}"""


def render() -> str:
    """The whole document."""
    parts = [_HEAD]
    parts += _section("From the client", protocol.CLIENT_MESSAGES)
    parts += _section("From the engine", protocol.ENGINE_MESSAGES)
    parts.append("\n## Codes\n\n| code | meaning |\n|---|---|\n")
    for code, error in sorted(errors.BY_CODE.items()):
        parts.append(f"| `{code}` | {(error.__doc__ or '').strip()} |\n")
    parts += _example()
    return "".join(parts)


def _example() -> Iterator[str]:
    yield _EXAMPLE
    for piece in exchange():
        arrow = "client → engine" if piece.who == "client" else "engine → client"
        yield f"\n**{arrow}: {piece.what}**, {len(piece.data)} bytes\n"
        if piece.header is not None:
            yield f"\n```\n{pprint.pformat(piece.header, width=98, sort_dicts=False)}\n```\n"
        yield f"\n```\n{_dump(piece.data)}```\n"


def _dump(data: bytes) -> str:
    """Offset, 16 bytes in hexadecimal, and what of them is ASCII."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:04x}  {row.hex(' '):47}  {text}\n")
    return "".join(lines)


_EXAMPLE = f"""
## An example, byte for byte

Recorded from a real exchange while this document was printed. The engine's ZMTP greeting and
commands are libzmq's, and may differ in another version of it. A client makes its nonce at random.

| | |
|---|---|
| token | `{TOKEN}` |
| nonce | `{NONCE.hex()}` |
"""


def _section(title: str, messages: Iterable[Message]) -> Iterator[str]:
    yield f"\n## {title}\n"
    for message in messages:
        yield f"\n### {message.type}\n\n{message.meaning}\n"
        if message.fields:
            yield "\n| key | type | meaning |\n|---|---|---|\n"
            yield from _rows(message.fields, "")
        for number, frame in enumerate(message.frames, 1):
            yield f"\nFrame {number}: {frame}.\n"


def _rows(fields: Iterable[Field], prefix: str) -> Iterator[str]:
    for field in fields:
        yield f"| `{prefix}{field.name}` | {field.kind} | {field.meaning}{_bounds(field)} |\n"
        yield from _rows(field.fields, f"{prefix}{field.name}.")


def _bounds(field: Field) -> str:
    notes = []
    if field.choices:
        notes.append(" or ".join(f"`{choice}`" for choice in field.choices))
    if field.low is not None or field.high is not None:
        if field.high is None:
            span = f"{field.low} or more"
        elif field.low is None:
            span = f"at most {field.high}"
        else:
            span = f"{field.low}" if field.low == field.high else f"{field.low}…{field.high}"
        notes.append(span + {"str": " characters", "bytes": " bytes"}.get(field.kind, ""))
    if not field.required and field.default not in (None, "", ()):
        notes.append(f"default `{field.default}`")
    elif not field.required:
        notes.append("may be left out")
    return f"; {'; '.join(notes)}" if notes else ""
