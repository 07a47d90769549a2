"""The command line over a corpus: a manifest instead of sound files, shards instead of stdout, many workers."""
