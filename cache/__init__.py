"""What is kept on disk: the journals of scores, their index, and blobs.

SQLite in WAL mode (`synchronous=FULL`, a checksum a row) was weighed against the journal:
`python -m benchmarks.sqlite_store`. Through kills both keep every acknowledged row. A damaged byte
costs the journal the row it lies in, at most, and is always told; SQLite loses up to all rows where
the byte lies in its header or in a page of its tree, and some of that unnoticed: a checksum of
ours covers what a row holds and not what leads to it. Its append of one row is faster, of a hundred
as fast. A journal needs no lock between writers either, so the journal stays.
"""
