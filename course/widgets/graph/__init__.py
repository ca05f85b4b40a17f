"""What value_graph needs before it can draw: walk the graph, fold it, place it, draw it still."""
