"""Reads a CloudEvents stream over WebSocket with nothing but the `websockets` package, as a user would.

Prints the negotiated subprotocol, then every message on a line of its own, then how the connection ended.
"""

import asyncio
import sys

import websockets


async def main(url: str) -> None:
    async with websockets.connect(url, subprotocols=["cloudevents.json"]) as stream:
        print(f"subprotocol {stream.subprotocol} extensions {stream.protocol.extensions}", flush=True)
        try:
            while True:
                print(await stream.recv(), flush=True)
        except websockets.ConnectionClosed as closed:
            print(f"closed {closed.rcvd.code} {closed.rcvd.reason}", flush=True)


asyncio.run(main(sys.argv[1]))
