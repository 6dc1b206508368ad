"""From where the sentences lie to the tensors of a forward pass: sources, readers, encoding, the plan."""
