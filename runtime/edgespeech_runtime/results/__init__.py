"""What models return, and subtitles of it."""
