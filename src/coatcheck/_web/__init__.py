"""The page of `coatcheck web` and its JSON API: pages that read and change what the store holds, on loopback alone."""
