"""The reference: small, self-contained modules that the chapters grow, one idea each."""
