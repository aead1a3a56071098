"""The command script: where it lies, how it came there, what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from other_servers.world import World

_OWN: Final = (
    ("/support", "/support/main.jsp", "/support/console.jsp"),
    ("/status", "/status/api.jsp", None),
    ("/axis", "/axis/services/Update", "/axis/admin/index"),
    ("/cdn", "/cdn/check", None),
    ("/help", "/help/view.jsp", "/help/edit.jsp"),
    ("/wiki2", "/wiki2/page.do", "/wiki2/manage.do"),
)
_ROOT: Final = (
    ("", "/error_page.jsp", None),
    ("", "/favicon.jsp", "/favicons.jsp"),
    ("", "/index_old.jsp", None),
    ("", "/license.jsp", "/licence.jsp"),
)
_STOCK: Final = (("/examples", "/examples/jsp/num/calc.jsp", None), ("/docs", "/docs/appdev/sample/hi.jsp", None))
_WITHIN: Final = (
    "/js/tools/validate.jsp",
    "/images/thumb.jsp",
    "/inc/session.jsp",
    "/css/style.jsp",
    "/download/get.jsp",
)


@dataclass(slots=True)
class Command:
    """One command script. `how`: upload (by the manager), drop (a WAR into webapps), copy (a file, unseen), put (CVE-2017-12615)."""

    context: str
    path: str
    panel: str | None
    how: str
    method: str
    idle: int
    deployed: datetime
    asks: bool = False
    moved: datetime | None = None
    later: str = ""

    def target(self, time: datetime) -> str:
        return self.later if self.moved is not None and time >= self.moved else self.path


def draw_command(world: World, deployed: datetime) -> Command:
    chance = world.chance
    hows = {"rented": ("upload", "upload", "drop", "drop", "copy"), "web_only": ("upload", "upload", "put")}.get(
        world.kind, ("copy", "copy", "copy", "upload", "drop", "put")
    )
    how = chance.one(hows)
    if how == "put" and not world.tomcat.startswith("7"):
        how = "upload"
    kinds = list(_OWN)
    if how in {"copy", "put"}:
        kinds = [*_ROOT, *_STOCK] if how == "copy" else list(_ROOT)
        if world.application and how == "copy":
            kinds = [
                (world.application.rstrip("/"), world.application.rstrip("/") + chance.one(_WITHIN), None)
            ] * 4 + kinds
    elif world.kind == "rented" and chance.odds(0.15):
        kinds = [("/", "/", None)]
    context, path, panel = chance.one(kinds)
    command = Command(
        context=context,
        path=path,
        panel=panel,
        how=how,
        method="GET" if chance.odds(0.25) and path != "/" else "POST",
        idle=chance.one((2, 5, 36, 64, 128, 512, 1042)),
        deployed=deployed,
        asks=chance.odds(0.4),
    )
    if context in {name for name, _, _ in _OWN} and how in {"upload", "drop"} and chance.odds(0.12):
        command.moved = chance.moment(deployed + (world.end - deployed) / 2, deployed + (world.end - deployed) * 0.8)
        command.later = path.replace(context, f"{context}{chance.whole(2, 9)}", 1)
    return command
