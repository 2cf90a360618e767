//! A causally ordered feed.
