"""Posts signed events to a receiver, and again until it has them or the policy gives up."""
