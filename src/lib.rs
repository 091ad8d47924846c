//! amiops owns the life of Amazon Machine Images.
