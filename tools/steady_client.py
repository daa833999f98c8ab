#!/usr/bin/python3
"""Fetches URLs at a steady rate, each request on a connection of its own, whether the one before has
been answered or not. What is left of a rate when a box fails is seen by it.

usage: steady_client.py [--period MS] [--patience SECONDS] URL...

Prints a line for each request when it ends: START SECONDS URL ANSWER. START is in seconds since the
epoch, ANSWER the first word of the body, or `failed` and why. Ends on SIGTERM, when those that are
on their way have ended.
"""

import argparse
import http.client
import signal
import threading
import time
import urllib.parse


class Client:
    def __init__(self, patience_s):
        self.patience_s = patience_s
        self.output = threading.Lock()

    def fetch(self, url):
        start = time.time()
        begin = time.monotonic()
        answer = self.answer_of(url)
        with self.output:
            print(f"{start:.3f} {time.monotonic() - begin:.3f} {url} {answer}", flush=True)

    def answer_of(self, url):
        place = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname, place.port or 80,
                                                timeout=self.patience_s)
        try:
            connection.request("GET", place.path or "/", headers={"Connection": "close"})
            response = connection.getresponse()
            words = response.read().decode(errors="replace").split()
            return words[0] if response.status == 200 and words else f"failed {response.status}"
        except (OSError, http.client.HTTPException) as error:
            return f"failed {type(error).__name__}"
        finally:
            connection.close()


def main():
    parser = argparse.ArgumentParser(prog="steady_client.py")
    parser.add_argument("--period", type=float, default=100, metavar="MS")
    parser.add_argument("--patience", type=float, default=10, metavar="SECONDS")
    parser.add_argument("urls", nargs="+", metavar="URL")
    arguments = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    client = Client(arguments.patience)
    threads = []
    due = time.monotonic()
    while not ended.is_set():
        for url in arguments.urls:
            threads.append(threading.Thread(target=client.fetch, args=(url,)))
            threads[-1].start()
        threads = [thread for thread in threads if thread.is_alive()]
        due += arguments.period / 1000
        ended.wait(max(0.0, due - time.monotonic()))
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
