"""What a sender may say: the typed contract of each event, and the one mapping from it to warehouse columns."""
