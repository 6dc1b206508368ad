"""The model: the encoder and its head, the tokenizer, and a trained tagger saved and loaded."""
