"""What the subcommands of `posewire` do; imported by `stream.cli` when they are called."""
