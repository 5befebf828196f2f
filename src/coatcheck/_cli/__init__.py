"""The command line: click commands over `coatcheck.Client`. Everything here is for people and their scripts."""
