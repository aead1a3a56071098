"""Which ATT&CK techniques the tables of a case prove, and by which rows. What the logs can prove is little, and no more is said.

Each rule is SQL that returns rows of (sentence, confidence, locators): one row an observation, strongest first. A technique
without a row is not in the layer. The logs are those of the operator's own server: a rule says who did what, because guessed
passwords there are other people's acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique of ATT&CK (enterprise), the rule in words, and the question whose rows prove it."""

    id: str
    name: str
    rule: str
    query: str


@dataclass(frozen=True, slots=True)
class Proof:
    """One observation: what was seen, how sure, and the records that show it."""

    sentence: str
    confidence: str
    locators: tuple[str, ...]


_BECAUSE = "flatten(CAST(json_extract(because, '$[*].locators') AS VARCHAR[][]))"
_REMOTE_TOOLS: Final = (
    "teamviewer|anydesk|ammyy|radmin|ultravnc|tightvnc|realvnc|screenconnect|splashtop|rustdesk|logmein|atera"
)

TECHNIQUES: Final = (
    Technique(
        "T1021.001",
        "Remote Services: Remote Desktop Protocol",
        "an RDP session whose logon or reconnection is in a log",
        f"""SELECT 'RDP session ' || session_uid || ' of ' || coalesce(user_name, 'an unnamed account') || ' from '
            || replace(source_ips, ';', ', '), confidence, {_BECAUSE} FROM sessions
            WHERE source_ips IS NOT NULL ORDER BY session_uid""",
    ),
    Technique(
        "T1133",
        "External Remote Services",
        "an RDP session taken up from a public address",
        """SELECT 'RDP from the public address ' || source_ip || ' in session ' || session_uid, 'almost certain', [locator]
            FROM chain WHERE source_ip IN (SELECT source_ip FROM addresses WHERE address_kind = 'public')
            ORDER BY since, session_uid, source_ip""",
    ),
    Technique(
        "T1078",
        "Valid Accounts",
        "an operator's address logged on with an account's password",
        """SELECT 'logon as ' || user_name || ' from ' || source_ip, 'almost certain', [locator] FROM timeline
            WHERE act = 'logon' AND outcome = 'success' AND role = 'operator' AND user_name IS NOT NULL
            ORDER BY time, locator""",
    ),
    Technique(
        "T1110",
        "Brute Force",
        "a day's refused logons, by strangers: what was tried on this server, not what its operator did",
        """SELECT 'by strangers, on this server: ' || message, 'almost certain', [locator] FROM timeline
            WHERE act = 'noise_rdp' AND outcome = 'failure' AND "count" >= 50 ORDER BY time, locator""",
    ),
    Technique(
        "T1505.003",
        "Server Software Component: Web Shell",
        "a script that takes commands or serves its operators was put on the web server: its deployment is a milestone",
        f"""SELECT path || ' served as ' || kind || '; deployed ' || strftime(m.time, '%Y-%m-%d %H:%M:%SZ'), m.confidence,
            list_concat(string_split(m.locators, ';'), {_BECAUSE}) FROM endpoints, milestones m
            WHERE kind IN ('c2', 'panel') AND regexp_matches(path, '\\.jspx?$') AND m.milestone = 'c2_deployed'
            AND m.time IS NOT NULL ORDER BY path""",
    ),
    Technique(
        "T1071.001",
        "Application Layer Protocol: Web Protocols",
        "addresses that came back to a command path by a timer over HTTP",
        f"""SELECT source_ip || ' came back to ' || paths || ' ' || requests || ' times', confidence, {_BECAUSE} FROM victims
            ORDER BY first_seen, source_ip""",
    ),
    Technique(
        "T1090",
        "Proxy",
        "an operator's stay at an address that a dated list names as VPN, proxy or relay service, or a source that relays",
        f"""SELECT * FROM (
            SELECT 'an operator came by ' || source_ip || ' (' || anonymity || ')', 'likely', [locator] FROM chain
            WHERE regexp_matches(anonymity, '(^|; )(vpn|proxy|relay_service|tor_exit):')
            UNION ALL SELECT source_ip || ' relayed to the command path', role_confidence, {_BECAUSE} FROM sources
            WHERE role = 'relay') AS t(sentence, confidence, locators) ORDER BY sentence, locators""",
    ),
    Technique(
        "T1090.003",
        "Proxy: Multi-hop Proxy",
        "an operator's stay at an address that a dated list names as an exit of Tor",
        """SELECT 'an operator came by the Tor exit ' || source_ip || ' (' || anonymity || ')', 'likely', [locator] FROM chain
            WHERE regexp_matches(anonymity, '(^|; )tor_exit:') ORDER BY since, source_ip""",
    ),
    Technique(
        "T1070.001",
        "Indicator Removal: Clear Windows Event Logs",
        "an event log says that it was cleared",
        """SELECT detail, confidence, string_split(locators, ';') FROM milestones
            WHERE milestone = 'log_cleared' AND time IS NOT NULL ORDER BY time, locators""",
    ),
    Technique(
        "T1543.003",
        "Create or Modify System Process: Windows Service",
        "the System log or procrun says that a service was installed",
        """SELECT message, 'almost certain', [locator] FROM timeline WHERE act = 'service_install' AND outcome = 'success'
            ORDER BY time, locator""",
    ),
    Technique(
        "T1219",
        "Remote Access Tools",
        "a service or program of a known remote access product was installed",
        f"""SELECT message, 'likely', [locator] FROM timeline WHERE act IN ('service_install', 'software_install')
            AND regexp_matches(lower(message), '{_REMOTE_TOOLS}') ORDER BY time, locator""",
    ),
)


def proofs(db: duckdb.DuckDBPyConnection, technique: Technique) -> Iterator[Proof]:
    """Yield what proves a technique in this case."""
    for sentence, confidence, locators in db.execute(technique.query).fetchall():
        found = tuple(dict.fromkeys(locator for locator in locators or () if locator))
        if found:
            yield Proof(sentence, confidence, found)
