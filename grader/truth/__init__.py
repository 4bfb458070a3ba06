"""The true gradients, and how close another tensor comes to them."""
