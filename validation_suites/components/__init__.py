"""Components: order, hooks, interfaces."""
