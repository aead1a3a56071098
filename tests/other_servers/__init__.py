"""A second generator of servers with their truth, written without knowledge of the rules or of the first (`scenarios`).

What it draws follows seized servers and public reports, not what the rules look for: exits that change within a session, victims
that sleep, die or hide behind one NAT, monitors and polling customers that look like beacons, owners who work on while
the operator does. Every address lies in a network of its kind; every act is invented.
"""
