"""`posewire run`: capture, worker and publisher processes, and the supervisor that starts and stops them."""
