"""What the providers of hosts share: a checkout for each task, and the change in it, by git on the host."""
