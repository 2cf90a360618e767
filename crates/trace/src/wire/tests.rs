//! What the scan reads is what prost decodes.
