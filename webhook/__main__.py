"""`python -m webhook` is `endpoints-guard`."""

from webhook.cli import main

main()
