"""Tomcat's text logs as 8.5.6 on Windows writes them: access logs, JULI logs and the service wrapper's log.

8.5.6 (October 2016) is the last published 8.5 build that takes any bytes in a request line and escapes nothing, so
hostile lines stand in the access log as they came.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from addresses import IMPLANTS
from http_noise import noise_requests
from http_story import Request, story_requests
from story import (
    BUFFER_FLUSHED,
    C2_DEPLOYED,
    C2_PATH,
    FIRST_START,
    SECOND_START,
    SERVER_ZONE,
    STOPPED,
    TOMCAT_HOME,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_APPLICATIONS: Final = (("docs", 31), ("examples", 402), ("host-manager", 29), ("manager", 47), ("ROOT", 18))
_TORN_AT: Final = 47  # bytes of the last line that reached the disk before the crash

SERVER_XML: Final = """<?xml version='1.0' encoding='utf-8'?>
<!-- SYNTHETIC sample: the stock server.xml of Tomcat 8.5 without its comments -->
<Server port="8005" shutdown="SHUTDOWN">
  <Listener className="org.apache.catalina.startup.VersionLoggerListener" />
  <Listener className="org.apache.catalina.core.AprLifecycleListener" SSLEngine="on" />
  <Listener className="org.apache.catalina.core.JreMemoryLeakPreventionListener" />
  <Listener className="org.apache.catalina.mbeans.GlobalResourcesLifecycleListener" />
  <Listener className="org.apache.catalina.core.ThreadLocalLeakPreventionListener" />
  <GlobalNamingResources>
    <Resource name="UserDatabase" auth="Container"
              type="org.apache.catalina.UserDatabase"
              description="User database that can be updated and saved"
              factory="org.apache.catalina.users.MemoryUserDatabaseFactory"
              pathname="conf/tomcat-users.xml" />
  </GlobalNamingResources>
  <Service name="Catalina">
    <Connector port="8080" protocol="HTTP/1.1"
               connectionTimeout="20000"
               redirectPort="8443" />
    <Connector port="8009" protocol="AJP/1.3" redirectPort="8443" />
    <Engine name="Catalina" defaultHost="localhost">
      <Realm className="org.apache.catalina.realm.LockOutRealm">
        <Realm className="org.apache.catalina.realm.UserDatabaseRealm"
               resourceName="UserDatabase"/>
      </Realm>
      <Host name="localhost"  appBase="webapps"
            unpackWARs="true" autoDeploy="true">
        <Valve className="org.apache.catalina.valves.AccessLogValve" directory="logs"
               prefix="localhost_access_log" suffix=".txt"
               pattern="%h %l %u %t &quot;%r&quot; %s %b" />
      </Host>
    </Engine>
  </Service>
</Server>
""".replace("\n", "\r\n")


def _access_line(request: Request) -> bytes:
    time = request.time.astimezone(SERVER_ZONE)
    stamp = f"{time.day:02}/{_MONTHS[time.month - 1]}/{time.year}:{time:%H:%M:%S} +0100"
    size = "-" if request.size is None else str(request.size)
    line = f'{request.source_ip} - {request.user} [{stamp}] "{request.line}" {request.status} {size}\r\n'
    return line.encode("latin-1")


@cache
def access_requests() -> tuple[Request, ...]:
    """Every request that reached the disk, in the order of the log."""
    requests = [*story_requests(), *noise_requests()]
    return tuple(sorted((item for item in requests if item.time <= BUFFER_FLUSHED), key=lambda item: item.time))


def access_logs() -> dict[str, bytes]:
    """File name to content, one file a day of the server's clock; the last one ends torn."""
    logs: dict[str, bytearray] = {}
    for request in access_requests():
        name = f"localhost_access_log.{request.time.astimezone(SERVER_ZONE):%Y-%m-%d}.txt"
        logs.setdefault(name, bytearray()).extend(_access_line(request))
    torn = Request(BUFFER_FLUSHED, IMPLANTS[0].source_ip, f"POST {C2_PATH} HTTP/1.1", 200, 36)
    logs[max(logs)].extend(_access_line(torn)[:_TORN_AT])
    return {name: bytes(content) for name, content in logs.items()}


def _juli(time: datetime, thread: str, source: str, message: str, level: str = "INFO") -> str:
    """A line of OneLineFormatter: server time without offset."""
    local = time.astimezone(SERVER_ZONE)
    stamp = f"{local.day:02}-{_MONTHS[local.month - 1]}-{local.year} {local:%H:%M:%S}.{local.microsecond // 1000:03}"
    return f"{stamp} {level} [{thread}] {source} {message}\r\n"


def _start(begin: datetime, duration_ms: int) -> Iterator[str]:
    """A start of the server: version banner, connectors, the stock applications, start-up time."""
    banner = (
        "Server version:        Apache Tomcat/8.5.6",
        "Server built:          Oct 6 2016 20:15:31 UTC",
        "Server number:         8.5.6.0",
        "OS Name:               Windows Server 2012 R2",
        "OS Version:            6.3",
        "Architecture:          amd64",
        r"Java Home:             C:\Program Files\Java\jre1.8.0_111",
        "JVM Version:           1.8.0_111-b14",
        "JVM Vendor:            Oracle Corporation",
        f"CATALINA_BASE:         {TOMCAT_HOME}",
        f"CATALINA_HOME:         {TOMCAT_HOME}",
        f"Command line argument: -Dcatalina.home={TOMCAT_HOME}",
        f"Command line argument: -Dcatalina.base={TOMCAT_HOME}",
    )
    for line in banner:
        yield _juli(begin, "main", "org.apache.catalina.startup.VersionLoggerListener.log", line)
    time = begin + timedelta(milliseconds=640)
    for connector in ("http-nio-8080", "ajp-nio-8009"):
        yield _juli(
            time, "main", "org.apache.coyote.AbstractProtocol.init", f'Initializing ProtocolHandler ["{connector}"]'
        )
    yield _juli(time, "main", "org.apache.catalina.core.StandardService.startInternal", "Starting service Catalina")
    banner_line = "Starting Servlet Engine: Apache Tomcat/8.5.6"
    yield _juli(time, "main", "org.apache.catalina.core.StandardEngine.startInternal", banner_line)
    host = "org.apache.catalina.startup.HostConfig.deployDirectory"
    for name, took in _APPLICATIONS:
        folder = rf"{TOMCAT_HOME}\webapps\{name}"
        yield _juli(time, "localhost-startStop-1", host, f"Deploying web application directory {folder}")
        time += timedelta(milliseconds=took)
        done = f"Deployment of web application directory {folder} has finished in {took} ms"
        yield _juli(time, "localhost-startStop-1", host, done)
    time = begin + timedelta(milliseconds=duration_ms)
    for connector in ("http-nio-8080", "ajp-nio-8009"):
        yield _juli(
            time, "main", "org.apache.coyote.AbstractProtocol.start", f'Starting ProtocolHandler ["{connector}"]'
        )
    yield _juli(time, "main", "org.apache.catalina.startup.Catalina.start", f"Server startup in {duration_ms} ms")


def _stop(begin: datetime) -> Iterator[str]:
    for step in ("pause", "stop", "destroy"):
        for connector in ("http-nio-8080", "ajp-nio-8009"):
            verb = {"pause": "Pausing", "stop": "Stopping", "destroy": "Destroying"}[step]
            source = f"org.apache.coyote.AbstractProtocol.{step}"
            yield _juli(begin, "Thread-5", source, f'{verb} ProtocolHandler ["{connector}"]')
        if step == "pause":
            service = "org.apache.catalina.core.StandardService.stopInternal"
            yield _juli(begin, "Thread-5", service, "Stopping service Catalina")


FIRST_BANNER: Final = FIRST_START + timedelta(milliseconds=1210)
SECOND_BANNER: Final = SECOND_START + timedelta(milliseconds=1094)
FIRST_START_MS: Final = 6841
SECOND_START_MS: Final = 5207


def _catalina() -> Iterator[str]:
    yield from _start(FIRST_BANNER, FIRST_START_MS)
    yield from _stop(STOPPED - timedelta(milliseconds=700))
    yield from _start(SECOND_BANNER, SECOND_START_MS)
    war, host = rf"{TOMCAT_HOME}\webapps\support.war", "org.apache.catalina.startup.HostConfig.deployWAR"
    time = C2_DEPLOYED - timedelta(milliseconds=380)
    end = time + timedelta(milliseconds=311)
    done = f"Deployment of web application archive {war} has finished in 311 ms"
    later = [
        (time, _juli(time, "http-nio-8080-exec-9", host, f"Deploying web application archive {war}")),
        (end, _juli(end, "http-nio-8080-exec-9", host, done)),
        _unreadable_request(),
    ]
    yield from (line for _, line in sorted(later))


def _unreadable_request() -> tuple[datetime, str]:
    """The first unreadable request after the start leaves a trace without an address, later ones none."""
    first = min(item.time for item in access_requests() if item.line == "-")
    time = first + timedelta(milliseconds=212)
    message = (
        "Error parsing HTTP request header\r\n"
        " Note: further occurrences of HTTP header parsing errors will be logged at DEBUG level.\r\n"
        " java.lang.IllegalArgumentException: Invalid character found in method name. HTTP method names must be tokens\r\n"
        "\tat org.apache.coyote.http11.Http11InputBuffer.parseRequestLine(Http11InputBuffer.java:400)\r\n"
        "\tat org.apache.coyote.http11.Http11Processor.service(Http11Processor.java:667)\r\n"
        "\tat java.lang.Thread.run(Thread.java:745)\r\n"
    )
    return time, _juli(time, "http-nio-8080-exec-4", "org.apache.coyote.http11.Http11Processor.service", message)


def _manager() -> Iterator[str]:
    source = "org.apache.catalina.core.ApplicationContext.log"
    listing = "HTMLManager: list: Listing contexts for virtual host 'localhost'"
    for when in ("01:28:10.871", "02:36:04.902"):
        yield _juli(utc(f"2017-01-12 {when}"), "http-nio-8080-exec-3", source, listing)
    time = C2_DEPLOYED - timedelta(milliseconds=402)
    upload = rf"HTMLManager: Uploading WAR file to {TOMCAT_HOME}\webapps\support.war"
    yield _juli(time, "http-nio-8080-exec-9", source, upload)
    yield _juli(C2_DEPLOYED - timedelta(milliseconds=24), "http-nio-8080-exec-9", source, listing)


def _localhost() -> Iterator[str]:
    """The two requests that met a script which did not compile (status 500 in the access log)."""
    source = "org.apache.catalina.core.StandardWrapperValve.invoke"
    for when, line in (("02:44:01.618", 41), ("02:46:36.740", 57)):
        message = (
            "Servlet.service() for servlet [jsp] in context with path [/support] threw exception"
            " [Unable to compile class for JSP: \r\n\r\n"
            f"An error occurred at line: [{line}] in the jsp file: [/main.jsp]\r\n"
            'Syntax error, insert ";" to complete Statement] with root cause\r\n'
            " org.apache.jasper.JasperException: Unable to compile class for JSP: \r\n"
            "\tat org.apache.jasper.compiler.DefaultErrorHandler.javacError(DefaultErrorHandler.java:102)\r\n"
            "\tat org.apache.jasper.servlet.JspServlet.service(JspServlet.java:334)\r\n"
        )
        yield _juli(utc(f"2017-01-12 {when}"), "http-nio-8080-exec-6", source, message, "SEVERE")


def _service_wrapper() -> Iterator[str]:
    for time, message in (
        (FIRST_START - timedelta(seconds=37), "Commons Daemon procrun (1.0.15.0 64-bit) started"),
        (FIRST_START - timedelta(seconds=36), "Service Tomcat8 name Apache Tomcat 8.5 Tomcat8"),
        (FIRST_START - timedelta(seconds=36), "Service 'Tomcat8' installed"),
        (FIRST_START - timedelta(seconds=1), "Running 'Tomcat8' Service..."),
        (FIRST_START, "Starting service..."),
        (STOPPED - timedelta(seconds=1), "Stopping service..."),
        (STOPPED, "Service stopped."),
        (SECOND_START - timedelta(seconds=1), "Running 'Tomcat8' Service..."),
        (SECOND_START, "Starting service..."),
    ):
        yield f"[{time.astimezone(SERVER_ZONE):%Y-%m-%d %H:%M:%S}] [info]  [ 2104] {message}\r\n"


def server_logs() -> dict[str, bytes]:
    """File name to content of everything but the access logs."""
    logs = {
        "catalina.2017-01-12.log": "".join(_catalina()),
        "manager.2017-01-12.log": "".join(_manager()),
        "localhost.2017-01-12.log": "".join(_localhost()),
        "commons-daemon.2017-01-12.log": "".join(_service_wrapper()),
    }
    return {name: content.encode("latin-1") for name, content in logs.items()}
