"""The parts of the reference entry: decoding, faces, tracking, models, evidence, pooling."""
