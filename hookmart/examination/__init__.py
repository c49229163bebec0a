"""What `hookmart doctor` looks at: each file one part of the set-up, each finding a sentence that says what to do."""
