"""Sessions in Redis: something that a flushed cache has lost."""

import redis

from changeover_lab.servers.redis import PORT

SESSIONS = 500
SECONDS = 24 * 3600


def load(site):
    with redis.Redis(site.redis_address, PORT, socket_timeout=5) as client, client.pipeline() as pipeline:
        for number in range(SESSIONS):
            pipeline.set(f"session:loaded-{number}", site.name, ex=SECONDS)
        pipeline.execute()
