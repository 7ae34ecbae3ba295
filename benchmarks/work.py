"""Work to measure with: topics and notes of the size real ones have (statements of about 1.1 kB)."""

from node.context import Context
from node.service.commit import write
from node.service.open import start
from schemas import entry as bodies
from schemas.api import OpenForm

TEXT = "群众反映道路坑洼、路灯不亮，夜间出行不便，希望有关部门现场核实并尽快修复。" * 4
NOTE = "已到现场查看，路面破损约三百平方米，需报市政部门列入计划。" * 4
PER_TOPIC = 10


def author(ctx: Context, count: int, per_commit: int = 20) -> list[str]:
    """Write `count` entries: topics with a text and nine notes each. Gives the topics' ids."""
    topics: list[str] = []
    while len(topics) * PER_TOPIC < count:
        with write(ctx) as batch:
            for _ in range(per_commit):
                topic = start(batch, OpenForm(title="道路破损与路灯不亮", text=TEXT, areas=[ctx.identity.code]))
                for _ in range(PER_TOPIC - 1):
                    batch.entry(topic, "noted", bodies.Noted(text=NOTE))
                topics.append(topic)
    return topics


def note(ctx: Context, topic: str) -> str:
    """One committed note; its identity."""
    with write(ctx) as batch:
        return batch.entry(topic, "noted", bodies.Noted(text=NOTE)).id
