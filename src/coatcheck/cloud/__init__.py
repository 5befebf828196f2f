"""The local cloud: a server on loopback that implements the WHAM API for the official client.

One router has two backends: `scripted_cloud` returns what a test configured, `local_cloud` runs real agents in
temporary clones. The server listens on loopback only.
"""
