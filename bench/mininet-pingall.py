"""COUNT hosts on one Linux bridge by Mininet, then all pairs pinged. Prints seconds, as JSON.

Run in network, mount and process namespaces of its own: Mininet works in those that it is started in, raises limits of the
machine, and ends processes by the names of their programs.
"""

import json
import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

setLogLevel("error")
count = int(sys.argv[1])
begin = time.monotonic()
net = Mininet(topo=SingleSwitchTopo(count), switch=LinuxBridge, controller=None)
net.start()
up = time.monotonic()
lost = net.pingAll()
pinged = time.monotonic()
net.stop()
print(json.dumps({"up": up - begin, "pingall": pinged - up, "lost": lost}))
