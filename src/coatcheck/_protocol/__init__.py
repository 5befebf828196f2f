"""Effects, the provider contract and response decoding, without I/O."""
