"""One use case a file. commit.py is the only writer, receive.py the only door in."""
