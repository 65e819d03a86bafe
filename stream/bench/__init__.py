"""`posewire bench`: how fast it runs on this machine, and beside what users would run instead."""
