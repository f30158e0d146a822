"""What a timed loop needs: references, and how to wait."""
