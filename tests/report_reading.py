"""Reading report.html as a browser and as a reviewer would, without a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr", "base", "source"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.ends: list[str] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.ends.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text.setdefault(self._open[-1], []).append(data)

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")


def read(page: bytes) -> _Reader:
    reader = _Reader()
    reader.feed(page.decode("utf-8"))
    reader.close()
    return reader


def shape(page: bytes) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
    """Return every tag with its attributes, in order, times and geometry apart: what evidence must not be able to change."""
    loose = {"datetime", "d", "x", "y", "width", "content", "viewbox"}
    return [
        (tag, tuple((name, None if name in loose else value) for name, value in attributes))
        for tag, attributes in read(page).tags
    ]


def policy(page: bytes) -> str:
    for tag, attributes in read(page).tags:
        values = dict(attributes)
        if tag == "meta" and values.get("http-equiv") == "Content-Security-Policy":
            return values["content"] or ""
    raise AssertionError("no policy")


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def abridged(page: bytes) -> bytes:
    """Return what a reviewer reads of a golden: the page, and in the place of what is embedded and of long tables their hashes.

    So every byte of the page is compared, and two changes of two parts of it merge. Versions of Python and of packages are
    the machine's, and left away.
    """
    text = re.sub(r'(<td class="word">package</td><td>[^<]*</td><td>)[^<]*', r"\1…", page.decode("utf-8"))
    text = re.sub(r'(<td class="word">tool</td><td>python</td><td>)[^<]*', r"\1…", text)
    text = re.sub(r"(<(?:script|style)[^>]*>)(.*?)(?=</(?:script|style)>)", _hashed, text, flags=re.DOTALL)
    text = re.sub(r'(<path class="land[^"]*" d=")([^"]*)', _hashed, text)
    text = re.sub(r'(http-equiv="Content-Security-Policy" content=")([^"]*)', _hashed, text)
    text = re.sub(r"(<pre>)(.*?)(?=</pre>)", _hashed, text, flags=re.DOTALL)
    return re.sub(r"(<tbody>\n)(.*?)(?=</tbody>)", _shortened, text, flags=re.DOTALL).encode()


def _hashed(found: re.Match[str]) -> str:
    return found[1] + hashlib.sha256(found[2].encode()).hexdigest()[:16]


def _shortened(found: re.Match[str]) -> str:
    rows = [row for row in re.split(r"(?<=</tr>\n)", found[2]) if row.strip()]
    kept = [row for n, row in enumerate(rows) if n < 3 or 'class="rare"' in row]
    rest = "".join(row for row in rows if row not in kept)
    more = len(rows) - len(kept)
    said = f"… {more} more rows: {hashlib.sha256(rest.encode()).hexdigest()[:16]}\n" if more else ""
    return found[1] + "".join(kept) + said
