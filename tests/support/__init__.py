"""What the tiers in Python share."""
