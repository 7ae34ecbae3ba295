"""A city that accepts every offer as soon as it arrives: the other end of B2."""

import argparse
import threading
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy import select

from node.app import create_app
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service.commit import write
from node.service.decide import accept
from node.service.identity import load
from node.store.engine import reading
from node.store.tables import topics
from schemas.api import AcceptForm


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    ctx = load(Settings(data=parser.parse_args().data, disk_reserve_bytes=0), Clock(), new_start=True)
    threading.Thread(target=_accept_all, args=(ctx,), daemon=True).start()
    parts = urlsplit(ctx.identity.url)
    uvicorn.run(create_app(ctx), host=parts.hostname or "", port=parts.port or 80, log_config=None, access_log=False)


def _accept_all(ctx: Context) -> None:
    news = threading.Event()
    ctx.signal.listen(lambda peers: news.set())
    mine = select(topics.c.id).where(topics.c.offered_to == ctx.identity.code).limit(64)
    while True:
        news.wait(1)
        news.clear()
        with reading(ctx.engine) as conn:
            ids = conn.execute(mine).scalars().all()
        if ids:
            with write(ctx) as batch:
                batch.prefetch(ids)
                for topic in ids:
                    accept(batch, topic, AcceptForm())


if __name__ == "__main__":
    main()
