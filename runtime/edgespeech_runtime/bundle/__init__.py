"""What a bundle is: its folder, its manifest, the contract of its graphs, and opening it as a model."""
