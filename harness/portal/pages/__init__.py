"""The pages: rendered here, by the same values that the API answers with."""
