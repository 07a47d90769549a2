"""A bundle over a corpus of any size: a manifest to shards of rows, exactly once, by processes or over Ray.

`open_corpus` reads the manifest, `Output` is the folder, `Run` writes what is missing with a pool of workers. It needs
no torch. See docs/corpus.md.
"""
