"""Serve a port as the server does that listens on another, from some milliseconds away.

python -m tests.bench.distant PORT SERVER MILLISECONDS
"""

from __future__ import annotations

import asyncio
import sys


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float) -> None:
    """Bring everything to the other end, each piece after a while: none waits for another."""
    loop = asyncio.get_running_loop()
    while data := await source.read(2**18):
        loop.call_later(delay, target.write, data)
    loop.call_later(delay, target.close)


async def serve(port: int, server: int, delay: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server)
        await asyncio.gather(carry(reader, back, delay), carry(there, writer, delay), return_exceptions=True)

    async with await asyncio.start_server(answer, "127.0.0.1", port) as here:
        await here.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
