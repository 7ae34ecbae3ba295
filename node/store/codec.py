"""How the state of a topic is kept in its row: the two frozen dataclasses as JSON text."""

from pydantic import TypeAdapter

from node.domain.topic import Topic
from schemas.ids import Incarnation
from sync.custody import Chain

_CHAIN = TypeAdapter(Chain)
_TOPIC = TypeAdapter(Topic)


def dump_chain(chain: Chain) -> str:
    return _CHAIN.dump_json(chain).decode()


def load_chain(text: str) -> Chain:
    return _CHAIN.validate_json(text)


def dump_topic(topic: Topic) -> str:
    return _TOPIC.dump_json(topic).decode()


def load_topic(text: str) -> Topic:
    return _TOPIC.validate_json(text)


def inc_text(inc: Incarnation) -> str:
    return f"{inc.number}.{inc.nonce}"


def inc_of(text: str) -> Incarnation:
    number, nonce = text.split(".", 1)
    return Incarnation(int(number), nonce)
