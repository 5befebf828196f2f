"""What ``coatcheck demo`` shows: a sample web site, and a small scripted agent that is said to be one."""
