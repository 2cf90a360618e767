//! Clock offsets over SNTP.
