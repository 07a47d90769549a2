"""Sets of recordings: downloading, opening, drawing from and reading them."""
