"""Check the data of a recipe: faults that need no model, and labels that models of other folds contradict."""
