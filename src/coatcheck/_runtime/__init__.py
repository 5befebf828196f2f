"""Clients, drivers, transports, configuration and the submission journal: all HTTP and all sleeping."""
