import re

from engines import edit, submit

from ganpaint_engine.client import Client

LINE = re.compile(r'ganpaint_[a-z_]+(\{[a-z]+="[a-z]+"\})? [0-9.]+')


def test_stats_count_what_happened_and_name_nobody(engine):
    with Client.connect(name="secretive") as client:
        before = client.stats()
        edit(client, quality="preview", job_id="my own id")
        edit(client)
        client.cancel(submit(client, "slow"))
        edit(client)
        after = client.stats()
    done = {state: after["jobs"][state] - before["jobs"][state] for state in after["jobs"]}
    assert done == {
        **dict.fromkeys(("queued", "running", "failed", "superseded"), 0),
        "done": 3,
        "cancelled": 1,
    }
    assert after["seconds"]["preview"]["count"] - before["seconds"]["preview"]["count"] == 1
    assert after["seconds"]["final"]["max"] >= 0
    assert after["queue"]["jobs"] == after["queue"]["bytes"] == 0
    assert after["memory"]["rss_max"] >= after["memory"]["rss"] > 1_000_000
    assert "my own id" not in str(after)
    assert "secretive" not in str(after)
    lines = [line for line in after["text"].splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert f'ganpaint_jobs_ended_total{{state="done"}} {after["jobs"]["done"]}' in lines
