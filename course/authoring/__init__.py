"""What keeps everything made in step, for authors: sync, run, numbers, the book."""
