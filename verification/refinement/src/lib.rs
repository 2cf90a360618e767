//! TLC's state graph of a specification against the graph of the Rust model with the same bounds.
