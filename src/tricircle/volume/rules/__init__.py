"""Steps of Cinder's own that the table cannot say as data."""
