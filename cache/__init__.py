"""What is kept on disk: the journals of scores, their index, and blobs."""
