"""What an editor does with the bridge from first to last, in whatever Python runs this.

    python -W error -S tests/bridge/other_python.py FOLDER-OF-THE-BRIDGE

Needs the stub engine's command in GANPAINT_ENGINE, and a GANPAINT_HOME. Standard library alone.
"""

import os
import sys
import time

sys.path.insert(0, sys.argv[1])

from ganpaint_bridge import BridgeError, Engine, host, run, words
from ganpaint_bridge.msgpack_lite import packb, unpackb

WIDTH, HEIGHT = 80, 70
PIXELS = bytes(range(210)) * (WIDTH * HEIGHT * 3 // 210)
MASK = b"".join(
    b"\0" * 10 + b"\xff" * 40 + b"\0" * 30 if 20 <= row < 40 else b"\0" * 80
    for row in range(HEIGHT)
)
PICTURE = host.Picture(PIXELS, WIDTH, HEIGHT, 3, MASK)


def until(pump, condition):
    deadline = time.monotonic() + 60
    seen = []
    while not condition(seen):
        assert time.monotonic() < deadline, seen
        seen += pump(0.05) or []
    return seen


def edits(editing):
    request = host.EditRequest(
        "tree", "add", 0.5, 3, variant="autumn", context="whole", grow=-2, feather=1.5
    )
    for operation in ("add", "remove", "restyle"):
        editing.start(request._replace(operation=operation), PICTURE)
        seen = until(editing.pump, lambda seen: any(one.kind == "done" for one in seen))
        done = seen[-1]
        assert (done.patch.x, done.patch.y, done.patch.width, done.patch.height) == (10, 20, 40, 20)
        first = PIXELS[(20 * WIDTH + 10) * 3 :][:3]
        assert done.patch.rgba[:4] == bytes([*(255 - value for value in first), 127])
        again = host.read_recipe(done.patch.recipe)
        assert again.operation == operation
        assert again.grow == -2
        assert host.why_not_again(done.patch.recipe, editing.offer) is None
    until(editing.pump, lambda _: editing.offer.looks)
    assert editing.offer.concepts_for("restyle") == ("tree", "dome")


def previews_and_cancel(editing):
    slow = host.EditRequest("slow", "add")
    for strength in (0.2, 0.4, 0.6):
        editing.preview(slow._replace(concept="tree", strength=strength), PICTURE)
    seen = until(
        editing.pump, lambda seen: any(one.kind == "done" for one in seen) and not editing.busy
    )
    assert [one.request.strength for one in seen if one.kind == "done"] == [0.2, 0.6]
    editing.start(slow, PICTURE)
    until(editing.pump, lambda seen: any(one.fraction > 0 for one in seen))
    editing.cancel()
    assert [one.kind for one in editing.pump()] == ["cancelled"]
    editing.start(host.EditRequest("fail:out_of_memory", "add"), PICTURE)
    seen = until(editing.pump, lambda seen: any(one.error for one in seen))
    assert seen[-1].error.code == "out_of_memory"
    code = None
    try:
        editing.start(slow, PICTURE._replace(mask=bytes(WIDTH * HEIGHT)))
    except BridgeError as error:
        code = error.code
    assert code == "mask_empty"


def doctor():
    doctor = host.Doctor("test")
    titles = [line.title for line in until_running(doctor)]
    assert "Memory" in titles
    before = os.path.expanduser("~")
    assert len(before) < 3 or before not in doctor.report_text()
    doctor.restart()
    until(lambda wait: [doctor.pump(wait)], lambda _: not doctor.running)
    until_running(doctor)
    doctor.stop()
    until(lambda wait: [doctor.pump(wait)], lambda _: "not running" in doctor.lines()[0].value)
    doctor.close()


def until_running(doctor):
    until(
        lambda wait: [doctor.pump(wait)],
        lambda _: any(line.title == "Memory" for line in doctor.lines()),
    )
    return doctor.lines()


def settings():
    chosen = host.settings.Settings(model="stub", idle_minutes=3)
    host.settings.write(chosen)
    assert host.settings.read() == chosen
    host.settings.write(host.settings.Settings())


def languages():
    named = set()
    for language in ("en", "de", "fr", "es", "zh_CN"):
        words.use(language)
        named.add(host.edit_title("add", "tree"))
    assert len(named) == 5
    words.use("en")


def plain():
    value = {"a": [1, -1, 2**63, 1.5, None, True, "ü", b"\0" * 300], "b": {"c": [{}] * 20}}
    assert unpackb(packb(value)) == value
    engine = Engine("test", start=False)
    job = engine.submit(
        concept="tree",
        operation="add",
        image=(PIXELS, WIDTH, HEIGHT, 3),
        mask=(MASK, WIDTH, HEIGHT),
    )
    assert len(run(engine, job).frames[0]) == 40 * 20 * 4
    engine.close()


def main():
    words.use("en")
    editing = host.Editing("test")  # it starts the engine
    edits(editing)
    previews_and_cancel(editing)
    editing.close()
    plain()
    settings()
    doctor()
    languages()
    print(f"all of it on Python {sys.version_info[0]}.{sys.version_info[1]}")


main()
