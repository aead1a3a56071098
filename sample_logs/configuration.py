"""Files of the sample server beside its logs: an invented account, an invented application, a page."""

from __future__ import annotations

from typing import Final

CONFIGURATION: Final = {
    "tomcat-users.xml": """<?xml version='1.0' encoding='utf-8'?>
<!-- Synthetic sample: invented accounts. -->
<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0">
  <role rolename="manager-gui"/>
  <user username="synthetic-admin" password="synthetic-password" roles="manager-gui,manager-script"/>
</tomcat-users>
""",
    "context.xml": r"""<?xml version="1.0" encoding="UTF-8"?>
<!-- Synthetic sample: an application's descriptor. -->
<Context path="/synthetic" docBase="C:/synthetic/app" privileged="true">
  <Valve className="org.apache.catalina.valves.RemoteAddrValve" allow="127\.\d+\.\d+\.\d+|::1|0:0:0:0:0:0:0:1"/>
  <Resource name="jdbc/synthetic" username="synthetic" password="synthetic-password" url="jdbc:mysql://db.example.org/s"/>
</Context>
""",
    "logging.properties": """# Synthetic sample, after the stock file of Tomcat 8.5.
handlers = 1catalina.org.apache.juli.AsyncFileHandler, java.util.logging.ConsoleHandler

1catalina.org.apache.juli.AsyncFileHandler.level = FINE
1catalina.org.apache.juli.AsyncFileHandler.directory = ${catalina.base}/logs
1catalina.org.apache.juli.AsyncFileHandler.prefix = catalina.

java.util.logging.ConsoleHandler.level = FINE
java.util.logging.ConsoleHandler.formatter = org.apache.juli.OneLineFormatter
""",
    "webapps/synthetic/page.jsp": "<%-- Synthetic sample: an empty page. --%>\n",
}
"""File name to content."""
