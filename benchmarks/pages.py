"""B9: pages of the console at a node with 100,000 topics, at rest and while a backlog drains into it.

A few hundred real topics are multiplied as rows, straight in the tables: lists, filters and counts work on what they
would work on, and the topics that are opened are real ones. Figures are made of the rows of as many topics again, and
the audit has as many lines.
"""

import re
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.field import CHILD, PARENT, PASSWORD, free_port, pair, running
from benchmarks.measure import Figure, median, percentile
from benchmarks.million import fill
from benchmarks.window import Window
from benchmarks.work import author
from node.context import Context
from node.domain.policy import ROLES
from node.service.commit import write
from node.service.drafts import CITIZEN, keep
from node.service.open import start
from node.service.users import add_user
from node.store import links
from node.store.engine import reading
from schemas.api import OpenForm
from schemas.drafts import MatterForm

TOPICS = 100_000
REAL = 400
OPEN_SHARE = 0.03
"""Of the topics; what an office has in hand of all it ever had."""
SAMPLES = 40
BACKLOG = 80_000
DRAFTS = 200
LIMIT_MS = 300
PLACES = ("620102", "620103", "620104", "620105", "620111")
THINGS = ("路灯不亮", "道路破损", "垃圾清运", "加装电梯", "公交站牌", "噪声扰民", "学位不足", "物业收费")
VISITS = {
    "today": "/",
    "topics": "/topics",
    "topics, open ones": "/topics?status=active",
    "topics, one place": "/topics?area=620103",
    "topics, by words": "/topics?" + urlencode({"q": "加装电梯"}),
    "topics, words nobody wrote": "/topics?" + urlencode({"q": "无此字样"}),
    "one topic": "/topics/{id}",
    "screening": "/topics/{id}/screening",
    "a form": "/topics/{id}/delegate",
    "splitting": "/topics/{id}/split",
    "whose duty": "/topics/{id}/assign",
    "intake": "/intake",
    "import": "/import",
    "links": "/links",
    "overview": "/overview",
    "overview, one year": "/overview?from=2025-01-01&to=2025-12-31",
    "behind a figure": "/overview/topics?status=active&custodian=620102",
    "trust": "/trust",
    "drafts": "/drafts",
    "posters": "/posters",
    "people": "/people",
    "one person": "/people/1",
    "sessions": "/sessions",
    "units": "/units",
    "hand-overs": "/handovers",
    "own account": "/account",
    "audit": "/audit",
    "public: raise": "/raise",
    "public: follow": "/r/{secret}",
}
DRAINING = ("today", "topics", "topics, by words", "one topic", "screening", "intake", "links", "overview", "audit")
"""Visited again while a backlog drains."""


def measure(folder: Path) -> list[Figure]:
    here = pair(folder / "pair")
    parent = here.context(PARENT)
    fill(parent, TOPICS, list(PLACES))
    topics = _real(parent)
    with write(parent) as batch:
        kept = [keep(batch, MatterForm(text=f"第{n}号院路灯不亮"), CITIZEN) for n in range(DRAFTS)]
    add_user(parent, "everything", PASSWORD, sorted(ROLES))
    parent.engine.dispose()
    _multiply(here.parent / "node.db")
    child = here.context(CHILD)
    author(child, BACKLOG)
    child.engine.dispose()
    paths = {name: path.format(id=topics[0], secret=kept[0].secret) for name, path in VISITS.items()}
    with running(here.parent, here.url):
        window = Window(here.url, "everything")
        figures = [_figure(name, window, path, "") for name, path in paths.items()]
        figures.append(_first_page(window))
        port = free_port()
        with running(here.child, f"http://127.0.0.1:{port}", "--port", str(port), aside=True):
            figures += [_figure(name, window, paths[name], ", while a backlog drains") for name in DRAINING]
            assert _left(child) > 0, "the backlog was gone before the last visit"
    child.engine.dispose()
    return figures


def _left(child: Context) -> int:
    with reading(child.engine) as conn:
        link = links.load(conn, PARENT)
    assert link is not None
    return link.sent_seq - link.acked_seq


def _figure(name: str, window: Window, path: str, when: str) -> Figure:
    taken = []
    for _ in range(SAMPLES):
        status, _, ms = window.get(path)
        while status == 429:  # the public door's limit for one address
            time.sleep(1)
            status, _, ms = window.get(path)
        assert status == 200, (path, status)
        taken.append(ms)
    what = f"{name}{when}, p95 (median {median(taken):.0f})"
    return Figure("B9", what, percentile(taken, 0.95), "ms", reach=LIMIT_MS, aim=LIMIT_MS / 3, lower=True)


def _first_page(window: Window) -> Figure:
    """All that a browser fetches for the first page it ever sees of a node, as it crosses the line."""
    _, packed, _ = window.get("/")
    _, page, _ = window.get("/", packed=False)
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.decode()))
    size = len(packed) + sum(len(window.get(file)[1]) for file in files)
    return Figure("B9", "first page with all its files", size / 1000, "kB", reach=150, aim=60, lower=True)


def _real(ctx: Context) -> list[str]:
    found = []
    with write(ctx) as batch:
        for n in range(REAL):
            place, thing = PLACES[n % len(PLACES)], THINGS[n % len(THINGS)]
            form = OpenForm(title=f"{place} 第{n}号院{thing}", text=f"{thing}，盼望尽快解决。" * 8, areas=[place])
            found.append(start(batch, form))
    return found


def _multiply(path: Path) -> None:
    """Copies of the real topics, with ids and numbers of their own; most of them closed."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA synchronous=OFF")
    columns = [row[1] for row in conn.execute("PRAGMA table_info(topics)")]
    changed = {
        "id": "lower(hex(randomblob(32)))",
        "number": "number || '-' || :n",
        "status": f"CASE WHEN abs(random()) % 1000 < {int(OPEN_SHARE * 1000)} THEN 'active' ELSE 'closed' END",
        "updated_at": "datetime('2026-01-01', (abs(random()) % 15000000) || ' seconds') || '.000000'",
        "due_at": "datetime('2026-11-01', (abs(random()) % 9000000) || ' seconds') || '.000000'",
    }
    picked = ", ".join(changed.get(name, name) for name in columns)
    conn.execute("CREATE TEMP TABLE real AS SELECT * FROM topics")
    conn.execute("BEGIN")
    for n in range(TOPICS // REAL - 1):
        conn.execute(f"INSERT INTO topics ({', '.join(columns)}) SELECT {picked} FROM real", {"n": n})
    conn.execute(
        "INSERT OR IGNORE INTO topic_areas (topic, area, own) SELECT topics.id, a.area, a.own FROM topics"
        " JOIN real ON substr(topics.number, 1, 18) = real.number JOIN topic_areas a ON a.topic = real.id"
    )
    conn.execute(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :many) INSERT INTO audit"
        " (at, actor, action, topic, result) SELECT datetime('2026-01-01', n || ' seconds') || '.000000', 'bench',"
        " 'note', (SELECT id FROM real WHERE rowid = 1 + n % :real), 'done' FROM n",
        {"many": TOPICS, "real": REAL},
    )
    conn.execute("COMMIT")
    conn.execute("ANALYZE")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
