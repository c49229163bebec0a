"""From request to durable segment: verify, check against the contract, stage. Imports `models` alone."""
