"""The commands, by family; `app` imports a module when one of its commands runs."""
