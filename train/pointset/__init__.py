"""Training of the point set (`models.pointset`): scenes of one or more people, seen by virtual cameras."""
