"""A large synthetic access log: the same bytes for the same seed, a share of its lines hostile.

Usage: access_log_generator.py OUT [--mb 1000] [--seed 3] [--format combined|common] [--hostile 0.01] [--addresses 100000]
"""

from __future__ import annotations

import argparse
import random
from datetime import UTC, datetime, timedelta

AGENTS = [
    "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/55.0.2883.87 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:50.0) Gecko/20100101 Firefox/50.0",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12_2) AppleWebKit/602.3.12 (KHTML, like Gecko) Version/10.0.2 Safari/602.3.12",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "-",
]
PATHS = ["/", "/index.jsp", "/support/main.jsp", "/tomcat.css", "/manager/html", "/api/v1/items", "/images/logo.png"]
HOSTILE = [
    '{a} - - {t} "-" 400 -{h}',
    '{a} - - {t} "GET /x" 200 5 "y HTTP/1.1" 404 12{h}',
    '{a} - - {t} "GET /\x16\x03\x01\x00 HTTP/1.1" 400 -{h}',
    '{a} - - {t} "GET /' + "A" * 5000 + ' HTTP/1.1" 414 -{h}',
    '{a} - john doe {t} "GET / HTTP/1.1" 200 5{h}',
    '{a} - - {t} "GET / HTTP/1.1" 200 5 "-" "raw " quote"',
    "junk without meaning",
    "",
    '{a} - - [31/Feb/2017:10:00:00 +0000] "GET / HTTP/1.1" 200 5{h}',
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--format", choices=("combined", "common"), default="combined")
    parser.add_argument("--hostile", type=float, default=0.01)
    parser.add_argument("--addresses", type=int, default=100_000)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    addresses = [_address(rng) for _ in range(given.addresses)]
    when, written, limit = datetime(2017, 1, 1, tzinfo=UTC), 0, given.mb * 1_000_000
    with open(given.out, "wb") as out:
        while written < limit:
            when += timedelta(seconds=rng.random() < 0.3)
            stamp = f"[{when:%d/%b/%Y:%H:%M:%S} +0000]"
            block = "".join(_line(rng, addresses, stamp, given) for _ in range(50)).encode("utf-8", "surrogateescape")
            out.write(block)
            written += len(block)


def _address(rng: random.Random) -> str:
    if rng.random() < 0.12:
        return ":".join(f"{rng.getrandbits(16):x}" for _ in range(8))
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def _line(rng: random.Random, addresses: list[str], stamp: str, given: argparse.Namespace) -> str:
    address = addresses[int(len(addresses) * rng.random() ** 2)]
    agent = rng.choice(AGENTS)
    headers = (
        f' "{rng.choice(("-", "http://www.example.org/products/list.jsp"))}" "{agent}"'
        if given.format == "combined"
        else ""
    )
    if rng.random() < given.hostile:
        return rng.choice(HOSTILE).format(a=address, t=stamp, h=headers) + "\n"
    target = rng.choice(PATHS) + (f"?id={rng.getrandbits(32):x}" if rng.random() < 0.6 else "")
    method = "POST" if rng.random() < 0.2 else "GET"
    status = rng.choice((200, 200, 200, 304, 404))
    return f'{address} - - {stamp} "{method} {target} HTTP/1.1" {status} {rng.randrange(100_000)}{headers}\n'


if __name__ == "__main__":
    main()
