"""Services other than Codex, in memory: each speaks its protocol over sessions that live as a test wrote them."""
