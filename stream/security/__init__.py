"""Who may connect to the public sockets: keys, the list of those that are allowed, and proof that it is obeyed."""
