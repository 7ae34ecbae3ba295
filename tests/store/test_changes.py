"""What an idle node asks: whether anybody committed."""

from sqlalchemy import text

from node.store.changes import Changes, Look
from node.store.engine import connect, is_sqlite, reading, writing


def test_a_job_looks_again_after_a_commit_of_anybody_and_else_only_now_and_then(database_url: str) -> None:
    engine, other = connect(database_url), connect(database_url)
    with writing(engine) as conn:
        conn.execute(text("CREATE TABLE things (n INTEGER)"))
    changes = Changes(engine)
    look = Look(changes, every_s=10)
    assert look.is_due(0.0)
    always = not is_sqlite(engine)  # PostgreSQL does not tell
    assert look.is_due(1.0) is always
    with reading(other) as conn:
        conn.execute(text("SELECT * FROM things"))
    assert look.is_due(2.0) is always
    for by in (other, engine):
        with writing(by) as conn:
            conn.execute(text("INSERT INTO things VALUES (1)"))
        assert look.is_due(3.0)
        assert look.is_due(4.0) is always
    assert look.is_due(13.0)
    changes.close()
    engine.dispose()
    other.dispose()
