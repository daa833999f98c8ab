#!/usr/bin/python3
"""Servers as health checks meet them on bad days, all in one process.

usage: bad_server.py FIRST_PORT

From FIRST_PORT on, a TCP port for each of:
  silent          accepts and says nothing
  slow            a byte a second of an answer that would be right
  resets          resets each connection as soon as it is accepted
  closes          closes each connection without a word
  garbage         bytes that are of no protocol, then the end
  endless_body    an HTTP answer whose body never ends
  endless_header  an HTTP answer whose header never ends
  endless_line    a line of a mail server that never ends
  cut             an HTTP answer that ends before its length
  half_open       a connection is set up by the kernel at best: nobody accepts, the queue is full
and a UDP port for each of:
  udp_silent      no answer
  udp_garbage     bytes that are of no protocol

`bad_server.py --list` prints the names in their order.
"""

import asyncio
import contextlib
import random
import socket
import struct
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n"
noise = random.Random(1)


async def silent(_reader, _writer):
    await asyncio.sleep(3600)


async def slow(_reader, writer):
    for i in range(len(ANSWER)):
        writer.write(ANSWER[i:i + 1])
        await writer.drain()
        await asyncio.sleep(1)


async def resets(_reader, writer):
    # Without lingering, to close is to reset.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))


async def closes(_reader, _writer):
    pass


async def garbage(_reader, writer):
    writer.write(noise.randbytes(3000))


async def endless(writer, begin, more):
    writer.write(begin)
    while True:
        writer.write(more)
        await writer.drain()
        await asyncio.sleep(0.001)


async def endless_body(_reader, writer):
    await endless(writer, b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)


async def endless_header(_reader, writer):
    await endless(writer, b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 500)


async def endless_line(_reader, writer):
    await endless(writer, b"220 ", b"x" * 4096)


async def cut(_reader, writer):
    writer.write(ANSWER[:-3])


async def half_open(_reader, _writer):
    raise AssertionError("nobody accepts")


TCP = (silent, slow, resets, closes, garbage, endless_body, endless_header, endless_line, cut,
       half_open)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answers):
        self.answers = answers
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if self.answers:
            self.transport.sendto(noise.randbytes(40), addr)


def handler_of(behave):
    async def handle(reader, writer):
        with contextlib.suppress(OSError):
            await behave(reader, writer)
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()
    return handle


def fill_queue(port):
    """What is never accepted fills the queue; the kernel then drops further SYNs."""
    listener = socket.create_server(("0.0.0.0", port), backlog=0)
    held = [listener]
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        held.append(client)
    return held


async def main(first):
    loop = asyncio.get_running_loop()
    held = []
    for port, behave in enumerate(TCP, first):
        if behave is half_open:
            held += fill_queue(port)
        else:
            held.append(await asyncio.start_server(handler_of(behave), "0.0.0.0", port,
                                                   backlog=1024))
    for port, answers in enumerate((False, True), first + len(TCP)):
        await loop.create_datagram_endpoint(lambda answers=answers: Datagrams(answers),
                                            local_addr=("0.0.0.0", port))
    print("ready", flush=True)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print(*(behave.__name__ for behave in TCP), "udp_silent", "udp_garbage")
    elif len(sys.argv) == 2 and sys.argv[1].isdigit():
        asyncio.run(main(int(sys.argv[1])))
    else:
        sys.exit(__doc__)
