"""The launchers of one job talk to each other: who is there, when it starts, why it ends.

Node 0 listens where all meet; every other node holds one connection to it and to nobody else, so
that what a node does not grow with the number of nodes. A silent line is noticed by the kernel
(keepalive), so that a launcher that is busy or stopped for a moment does not count as lost.
"""
