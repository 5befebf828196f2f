"""What ``coatcheck demo`` shows: a sample web site, and a small scripted agent, which is named as such."""
