"""Diffs as HTML: rows of files, pictures, and what distinguishes candidates. Nothing here does I/O but `base_files`."""
