"""Every source address of the sample story: its role, and what the dated databases say of it.

``country`` is GeoLite2's answer in both builds around the events (2017-01-04 and 2017-02-08); ``as_number`` is that of
June 2026.  The networks are real, what they do here is invented: see README.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Address(NamedTuple):
    """One source address; ``part`` is what it does in the story."""

    source_ip: str
    country: str
    as_number: int
    role: str
    part: str


# The operator: hosting, VPN and proxy exits, and once the range behind them.
FR1: Final = Address("51.254.37.118", "FR", 16276, "operator", "first logon, a French hosting address")
FR2: Final = Address("163.172.40.33", "FR", 12876, "operator", "Saturday logon, a French hosting address")
KR1: Final = Address("115.68.12.90", "KR", 38700, "operator", "the usual proxy, a Korean hosting address")
KR2: Final = Address("121.78.145.36", "KR", 17589, "operator", "second Korean hosting address")
GB1: Final = Address("185.93.180.44", "GB", 9009, "operator", "VPN exit, takes a session over from the usual proxy")
JP1: Final = Address("133.130.97.40", "JP", 7506, "operator", "hosting address in Japan, connected at the crash")
KP1: Final = Address("175.45.178.141", "KP", 131279, "operator", "one contact of about a minute")
OPERATOR: Final = (FR1, FR2, KR1, KR2, GB1, JP1, KP1)

LOOPBACK: Final = "0:0:0:0:0:0:0:1"  # as Tomcat writes ::1

_IMPLANTS: Final = """
195.230.113.124 PL 199846
91.235.193.223 PL 198498
200.79.81.151 MX 8151
168.121.61.54 MX 28409
200.79.200.249 MX 28509
170.239.117.161 BR 264426
170.81.222.186 BR 28343
43.252.143.213 IN 55814
103.69.242.112 IN 135762
103.194.44.179 IN 134556
103.24.212.162 ID 132649
103.75.27.36 ID 131111
202.169.28.139 MY 38278
101.96.74.36 VN 24173
101.99.15.169 VN 45903
180.183.4.81 TH 45758
218.32.80.159 TW 9919
210.85.86.35 TW 17709
103.30.189.198 BD 58736
61.9.126.127 PH 17970
203.114.66.140 PH 7611
92.63.15.110 TR 44558
179.56.37.193 CL 14117
200.58.154.29 UY 19422
200.106.0.161 PE 6147
41.78.157.185 NG 37249
185.141.11.180 IQ 203214
190.93.164.217 CR 262171
170.254.3.80 CO 269980
178.239.37.14 IT 35590
1.0.6.162 AU 38803
"""
_RDP_NOISE: Final = """
118.116.226.96 CN 4134
223.166.211.192 CN 17621
203.56.172.35 CN 134760
203.33.203.6 CN 134761
111.170.144.199 CN 151185
103.55.174.18 CN 4812
185.16.56.10 RU 44507
193.43.182.67 RU 13165
212.96.116.125 RU 12683
204.97.111.196 US 174
192.68.24.249 US 394384
174.47.187.214 US 3549
82.151.60.148 NL 43995
141.138.207.176 NL 35470
195.149.125.253 UA 29475
91.231.43.107 UA 198820
203.167.8.172 VN 63741
137.59.116.19 VN 63733
138.122.142.91 BR 61678
177.11.26.122 BR 270697
103.251.61.39 IN 133003
150.242.174.52 IN 132453
62.80.113.82 DE 13237
91.224.231.154 FR 197033
185.22.131.29 FR 199881
182.237.246.191 KR 17583
118.91.66.96 KR 17573
163.222.47.33 KR 4766
61.31.94.79 TW 9924
128.65.186.119 IR 43754
109.108.178.234 IR 197207
82.150.70.204 TR 15924
31.5.21.189 RO 12302
184.22.156.226 TH 133481
45.126.180.218 HK 59371
116.254.125.248 ID 38496
131.1.241.100 IT 20746
212.92.43.158 ES 24592
200.3.118.234 AR 7908
"""
_HTTP_NOISE: Final = """
139.186.150.119 CN 45090
103.38.226.145 CN 4808
103.21.177.27 CN 9808
144.48.66.164 CN 4837
119.235.167.32 CN 24427
121.46.196.122 CN 140717
94.247.245.31 RU 41733
185.72.190.26 RU 34456
158.115.238.80 US 11426
204.70.194.158 US 3561
50.89.118.151 US 33363
217.123.217.241 NL 33915
91.235.237.59 NL 12414
193.108.240.230 UA 209487
138.94.66.37 BR 264135
143.202.102.204 BR 263152
80.78.174.173 DE 21032
146.0.113.188 DE 16097
86.200.219.19 FR 3215
203.153.148.220 KR 3786
43.230.214.15 IN 45916
103.23.158.197 VN 38247
185.123.112.196 GB 207045
168.95.254.59 TW 3462
"""


def _table(text: str, role: str, part: str) -> tuple[Address, ...]:
    rows = (line.split() for line in text.split("\n") if line)
    return tuple(Address(ip, country, int(number), role, part) for ip, country, number in rows)


IMPLANTS: Final = _table(_IMPLANTS, "implant", "beacons to the C2 script only")
RDP_NOISE: Final = _table(_RDP_NOISE, "scanner", "failed RDP logons and probes")
HTTP_NOISE: Final = _table(_HTTP_NOISE, "scanner", "web probes")
RELAY: Final = Address("78.46.91.77", "DE", 24940, "relay", "next layer: steady heavy traffic from a hosting address")
RESEARCHERS: Final = (
    Address("64.31.22.34", "US", 46475, "researcher", "single fetches of the exact C2 path, late"),
    Address("104.236.50.60", "US", 14061, "researcher", "single fetches of the exact C2 path, late"),
    Address("46.4.113.29", "DE", 24940, "researcher", "single fetches of the exact C2 path, late"),
)
VISITORS: Final = (
    Address("188.122.66.241", "NL", 49544, "visitor", "a browser on the start page, nothing else"),
    Address("185.100.138.175", "ES", 12357, "visitor", "a browser on the start page, nothing else"),
)
# One of the RDP guessers also probes the web server.
BOTH: Final = RDP_NOISE[6]
ALL: Final = (*OPERATOR, *IMPLANTS, RELAY, *RESEARCHERS, *VISITORS, *RDP_NOISE, *HTTP_NOISE)
