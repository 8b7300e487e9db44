"""What is stored on disk: the journals of scores, their index, and blobs.

SQLite in WAL mode (`synchronous=FULL`, one checksum per row) was compared with the journal (`python
-m benchmarks.sqlite_store`). Both keep every acknowledged row when killed. A damaged byte costs the
journal at most one row and is always reported; SQLite can lose all rows if the byte is in its
header or in a page of its tree, some of them unnoticed, because our checksums would cover the rows
but not the tree. Appending one row is faster in SQLite, appending a hundred is equally fast.
Journals also need no lock between writers, so the journal stays.
"""
