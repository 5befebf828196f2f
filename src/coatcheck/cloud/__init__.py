"""The local cloud: a server on loopback that speaks WHAM as the official client demands it.

One face, two uses: `scripted` answers from a life that a test wrote, `store` and `runner` answer with what real
agents do in throw-away clones. Nothing here is reachable from another machine.
"""
