"""Building n-gram language models from text and writing them; the runtime reads them and scores with them."""
