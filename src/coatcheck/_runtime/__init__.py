"""The world: two drivers, two clients, transports, configuration, the journal. All HTTP and all sleeping is here."""
