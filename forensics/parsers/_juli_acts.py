r"""What Tomcat's own records tell of: starts, stops, deployments, the manager, locked accounts, unreadable requests.

Messages come in ten languages and their words change with the version, so the class and method decide first, the level
second, and the text last: values stand in brackets from 7.0.97, 8.5.15 and 9.0 on, bare before. Classes, methods and
messages are those of Tomcat 5.5 to 11 (LocalStrings of org.apache.catalina.startup, core, realm and org.apache.coyote).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.parsers._juli_record import Record

Row = dict[str, Any]

WANTED: Final = (
    r"HostConfig|startup\.Catalina|VersionLoggerListener|StandardServer|StandardService|StandardEngine|StandardContext[. ]reload"
    r"|LockOutRealm|Http11\w{0,12}Processor|coyote\.AbstractProcessor|ApplicationContext[. ]log|Commons Daemon procrun std"
)
"""RE2 for the classes below; a record without one of these words in its first bytes tells of nothing wanted."""

_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")
_QUOTES: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PATH: Final = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|/)")
_NUMBER: Final = re.compile(r"[0-9](?:[0-9.,\u00a0\u202f\u2019' ]{0,14}[0-9])?")
_SERVLET: Final = re.compile(r"(HTMLManager|Manager|JMXProxy|HTMLHostManager|HostManager|Status): ")
_COMMAND: Final = re.compile(r"([A-Za-z]{2,24}): ")
_MILLISECONDS_US: Final = 1000
_RELOADS: Final = ("reload", "recarga", "recharg", "リロード", "다시 로드", "重新加载")
"""How the languages of HostConfig's messages say that an application is loaded again; checkResources says both."""


def act_of(record: Record, kind: str) -> Row | None:
    """Return the columns of what a record tells, None if it tells of nothing wanted. `kind` is the file's, such as manager.

    `rest` of the row goes to `unmapped`.
    """
    owner, _, method = record.method.rpartition(".")
    if not owner.startswith("org.apache."):
        return None
    teller = _TELLERS.get(owner.rpartition(".")[2].partition("$")[0])
    row = teller(record, method, kind) if teller else None
    if row is None:
        return None
    row["rest"] = {"message": record.message, "level": record.level, "thread": record.thread, **row.get("rest", {})}
    if record.level == "SEVERE":
        row["event_outcome"] = "failure"
    return row


def is_teller(method: str) -> bool:
    """Say whether the class of a `class.method` is one whose records are read."""
    owner = method.rpartition(".")[0]
    return owner.startswith("org.apache.") and owner.rpartition(".")[2].partition("$")[0] in _TELLERS


def _informs(record: Record) -> bool:
    """A level in no known language is taken for the commonest."""
    return record.level in ("INFO", None)


def values_of(message: str) -> list[str]:
    """Return what stands in brackets, else in quotes."""
    return _BRACKETS.findall(message) or [one or two for one, two in _QUOTES.findall(message)]


def _milliseconds(message: str) -> int | None:
    """Return the last number of a message, however its language groups digits."""
    found = _NUMBER.findall(message)
    digits = "".join(c for c in found[-1] if c.isdecimal() and c.isascii()) if found else ""
    return int(digits) if 0 < len(digits) < 12 else None


def _took(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds * _MILLISECONDS_US


def _start(step: str, outcome: str = "unknown", **rest: object) -> Row:
    return {"event_action": "tomcat_start", "event_outcome": outcome, "rest": {"step": step, **rest}}


def _stop(step: str, outcome: str = "success") -> Row:
    return {"event_action": "tomcat_stop", "event_outcome": outcome, "rest": {"step": step}}


def _catalina(record: Record, method: str, _kind: str) -> Row | None:
    """`Server startup in [6841] milliseconds`, `Initialization processed in 706 ms`; SEVERE when it could not."""
    message = record.message or ""
    if method == "start":
        took = _milliseconds(message)
        if record.level == "SEVERE":
            return _start("failed", "failure")
        return None if took is None else {**_start("started", "success"), "duration_us": _took(took)}
    if method in ("load", "init") and _informs(record):
        took = _milliseconds(message)
        return None if took is None else {**_start("initialised"), "duration_us": _took(took)}
    return None


def _banner(record: Record, _method: str, _kind: str) -> Row | None:
    """`Server version name:   Apache Tomcat/8.5.6` and its like; from 7.0.57 on."""
    name, colon, value = (record.message or "").partition(":")
    if not colon:
        return None
    value = value.strip(" \u3000")
    if value.startswith("Apache Tomcat/"):
        return _start("version", version=value)
    return _start("banner", name=name.strip(), value=value)


def _engine(record: Record, method: str, _kind: str) -> Row | None:
    """`Starting Servlet Engine: Apache Tomcat/6.0.29`: the version where there is no banner."""
    if method not in ("start", "startInternal") or not _informs(record):
        return None
    value = (record.message or "").rpartition("Apache Tomcat/")[2].rstrip("]. ")
    return _start("engine", version=f"Apache Tomcat/{value}") if "Apache Tomcat/" in (record.message or "") else None


def _service(record: Record, method: str, _kind: str) -> Row | None:
    if not _informs(record):
        return None
    if method in ("start", "startInternal"):
        return _start("service")
    return _stop("service") if method in ("stop", "stopInternal") else None


def _server(record: Record, method: str, _kind: str) -> Row | None:
    """The shutdown port: a valid command, or a wrong one, which is somebody's attempt."""
    if method != "await":
        return None
    if _informs(record):
        return _stop("commanded")
    return _stop("command refused", "failure") if record.level == "WARNING" else None


def _host(record: Record, method: str, _kind: str) -> Row | None:
    message = record.message or ""
    if record.level == "WARNING":
        return None
    if method.startswith(("deployWAR", "deployDirector", "deployDescriptor", "deployJar")):
        return _deployment(message, record.level == "SEVERE")
    if method == "reload" or (method == "checkResources" and _says_reload(message)):
        return _of_context("deploy", "reload", values_of(message))
    if method in ("undeploy", "checkResources", "checkUndeploy", "deleteRedeployResources", "undeployApps"):
        return _of_context("undeploy", "undeploy", values_of(message))
    return None


def _says_reload(message: str) -> bool:
    words = _BRACKETS.sub("", message).lower()
    return any(word in words for word in _RELOADS)


def _deployment(message: str, failed: bool) -> Row:  # noqa: FBT001  # told apart by its caller alone
    values = values_of(message) if "[" in message else []
    plain, finished, tail = message.partition(" has finished in ")
    if values:
        took = _milliseconds(values[-1]) if len(values) > 1 and _NUMBER.fullmatch(values[-1]) else None
        took = _milliseconds(tail) if took is None and finished else took
        place: str | None = values[0]
    else:
        took = _milliseconds(tail) if finished else None
        place = _bare_path(plain)
    step = "failed" if failed else "begun" if took is None else "finished"
    return {
        "event_action": "deploy",
        "event_outcome": {"failed": "failure", "begun": "unknown", "finished": "success"}[step],
        "duration_us": _took(took),
        "rest": {"step": step, "archive": place},
    }


def _bare_path(message: str) -> str | None:
    """Return the path that stands without brackets (to 8.0): from its root to the archive's suffix or the end.

    In 5.5 and 6.0 the name alone follows the English words.
    """
    for words in ("web application archive ", "web application directory ", "configuration descriptor "):
        if words in message:
            return message.rpartition(words)[2].partition(" from ")[0].strip() or None
    root = _PATH.search(message)
    if root is None:
        return None
    path = message[root.start() :]
    for suffix in (".war", ".xml"):
        if suffix in path.lower():
            return path[: path.lower().index(suffix) + len(suffix)]
    return None


def _of_context(action: str, step: str, values: list[str]) -> Row:
    """A context's name is its path, with `##version` behind it for one of several versions."""
    name = values[0] if values else None
    path, mark, version = (name or "").partition("##")
    return {
        "event_action": action,
        "event_outcome": "success",
        "url_path": path if path.startswith("/") else None,
        "rest": {"step": step, "context": name, "version": version if mark else None},
    }


def _context(record: Record, method: str, _kind: str) -> Row | None:
    """`Reloading Context with name [/x] has started`."""
    if method != "reload" or not _informs(record):
        return None
    return _of_context("deploy", "reload", values_of(record.message or ""))


def _servlet_context(record: Record, method: str, kind: str) -> Row | None:
    """ServletContext.log of the manager applications: `HTMLManager: deploy: Deploying web application '/x'`."""
    message = record.message or ""
    servlet = _SERVLET.match(message)
    if method != "log" or (servlet is None and kind not in ("manager", "host-manager")):
        return None
    told = message[servlet.end() :] if servlet else message
    command = _COMMAND.match(told)
    if command is None and servlet is None:
        return None
    word = command[1] if command else "upload" if told.startswith("Uploading WAR file") else None
    path = next((value for value in values_of(told) if value.startswith("/")), None)
    archive = told.rpartition(" to ")[2] if word == "upload" else None
    return {
        "event_action": "manager_act",
        "event_outcome": "unknown",
        "url_path": path if word != "upload" else None,
        "rest": {"servlet": servlet[1] if servlet else None, "command": word, "archive": archive},
    }


def _lockout(record: Record, method: str, _kind: str) -> Row | None:
    """`An attempt was made to authenticate the locked user [x]`; or one of too many failed users was forgotten."""
    if record.level not in ("WARNING", None):
        return None
    values = values_of(record.message or "")
    gone = method == "removeEldestEntry"
    return {
        "event_action": "realm_lockout",
        "event_outcome": "unknown" if gone else "failure",
        "user_name": values[0] if values else None,
        "rest": {"step": "forgotten" if gone else "locked"},
    }


def _http(record: Record, method: str, _kind: str) -> Row | None:
    """`Error parsing HTTP request header`, INFO, once; the cause behind it quotes the bytes. No address stands in it."""
    if not _informs(record) or method not in ("service", "process", "parseHost", "prepareRequest"):
        return None
    cause, once = _cause(record)
    if cause is None and not once and "HTTP" not in (record.message or ""):
        return None
    quoted = (cause or record.message or "").partition("[")[2].rpartition("]")[0]
    return {
        "event_action": "request_parse_error",
        "event_outcome": "failure",
        "rest": {"cause": cause, "quoted": quoted or None, "once": True if once else None},
    }


def _cause(record: Record) -> tuple[str | None, bool]:
    """Return the exception's text, and whether the note stands there that later errors go to DEBUG."""
    once = "DEBUG" in (record.message or "")
    for raw in record.more.split(b"\n")[:12]:
        line = decode(raw.strip(b"\r\0 "))
        if line.startswith(("\t", "at ")):
            break
        once = once or "DEBUG" in line
        name, colon, told = line.partition(": ")
        if colon and name.endswith(("Exception", "Error")) and " " not in name:
            return told, once
    return None, once


_TELLERS: Final[dict[str, Callable[[Record, str, str], Row | None]]] = {
    "Catalina": _catalina,
    "VersionLoggerListener": _banner,
    "StandardEngine": _engine,
    "StandardService": _service,
    "StandardServer": _server,
    "StandardContext": _context,
    "HostConfig": _host,
    "ApplicationContext": _servlet_context,
    "LockOutRealm": _lockout,
    "AbstractProcessor": _http,
    "AbstractHttp11Processor": _http,
    "Http11Processor": _http,
    "Http11NioProcessor": _http,
    "Http11Nio2Processor": _http,
    "Http11AprProcessor": _http,
}
"""By the class's own name; the packages have moved."""
