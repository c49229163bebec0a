"""From a platform's own payload to events of the contract: mappings as data, and what applies them."""
